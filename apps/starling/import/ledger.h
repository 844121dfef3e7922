// What was imported, and how far: so that an import that was cut goes on, and one that ended is not
// done again.
//
//   STARLING_ASSIGN_OR_RETURN(auto ledger, Ledger::Open(data / "import"));
//   STARLING_ASSIGN_OR_RETURN(Ledger::Entry entry, ledger->Find(key));
//   STARLING_RETURN_IF_ERROR(ledger->Put(key, {.stage = "events", .position = "0:..."}));
//
// With a position goes what had been told and written up to there; see Told.
//
// A key is the kind of import, the file's name, size and time of change, and what the mapping file
// says: a file or a mapping that changed is a new import, whose events count once all the same, by
// their ids. Blocks; used by one thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "apps/starling/import/records.h"
#include "platform/storage/sql/sql.h"

namespace starling::import {

class Ledger {
 public:
  struct Entry {
    std::string stage;     // the one that is not done; "" before the first
    std::string position;  // in that stage
    bool done = false;
    Told told;
    Written written;
  };
  static StatusOr<std::unique_ptr<Ledger>> Open(const std::filesystem::path& folder);

  StatusOr<Entry> Find(const std::string& key);
  Status Put(const std::string& key, const Entry& entry);

  // NOT_FOUND when there is no such file or folder, or mapping file; "" is none.
  static StatusOr<std::string> KeyOf(const std::string& kind, const std::string& location,
                                     const std::string& mapping_file);

 private:
  explicit Ledger(std::unique_ptr<sql::Database> database) : database_(std::move(database)) {}
  std::unique_ptr<sql::Database> database_;
};

}  // namespace starling::import
