// The extension in a database: whether it can be used, and what it is called there.
//
//   STARLING_ASSIGN_OR_RETURN(const Extension extension, PrepareExtension(database));
//   extension.Type(64)                // "public".vector(64)
//   extension.Operator(Metric::kL2)   // OPERATOR("public".<->)
//
// Names are qualified, since statements look into the schema of their own alone.
#pragma once

#include <string>
#include <string_view>

#include "platform/storage/sql/sql.h"
#include "platform/storage/vector/store.h"

namespace starling::vector {

struct Extension {
  std::string schema;  // quoted: "public"
  std::string Type(size_t dimension) const;
  std::string Operator(Metric metric) const;
  std::string OperatorClass(Metric metric) const;  // of an HNSW index
};

// Makes it where it is on the server and the user may. FAILED_PRECONDITION says what to do.
// Blocks.
StatusOr<Extension> PrepareExtension(sql::Database& database);

// Whether "0.6.2" has what we need: HNSW came with 0.5.0.
bool IsNewEnough(std::string_view version);

}  // namespace starling::vector
