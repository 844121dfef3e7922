// Any bytes as the JSON of a message that has every kind of field: what is taken must come back the
// same from what we write of it, and the codec by reflection must agree.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "codegen/json_random_message.h"
#include "codegen/json_test.json.h"
#include "platform/json/reflection.h"

namespace {

namespace json = starling::json;
using starling::json::test::CanonicalBytes;
using starling::json::test::Everything;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "json_fuzz: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Everything message;
  const starling::Status status = json::FromJson(text, &message);

  Everything by_reflection;
  json::Reader reader(text);
  const starling::Status same = reader.Finish(json::ReadByReflection(reader, &by_reflection));
  if (status != same) {
    std::fprintf(stderr, "json_fuzz: '%s', but by reflection '%s'\n", status.ToString().c_str(),
                 same.ToString().c_str());
    std::abort();
  }
  if (!status.ok()) return 0;
  Require(CanonicalBytes(message) == CanonicalBytes(by_reflection),
          "the codec by reflection reads something else");

  const starling::StatusOr<std::string> written = json::ToJsonChecked(message);
  if (!written.ok()) return 0;  // a FieldMask of names that lowerCamelCase cannot hold
  Everything again;
  Require(json::FromJson(*written, &again).ok(), "we refuse what we wrote");
  Require(CanonicalBytes(message) == CanonicalBytes(again), "we read something else than we wrote");
  return 0;
}
