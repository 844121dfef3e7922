// Why a line is no JSON: read again by the reader that names the byte.
#include <charconv>

#include "platform/json/number.h"
#include "platform/json/reader.h"
#include "platform/tabular/json_lines.h"

namespace starling::tabular {
namespace {

// NOLINTNEXTLINE(misc-no-recursion): the reader ends it at 64 levels
bool CheckValue(json::Reader& reader) {
  switch (reader.Peek()) {
    case '{': {
      if (!reader.BeginObject("an object")) return false;
      if (reader.Passed('}')) return reader.LeaveLevel();
      do {
        std::string_view key;
        if (!reader.Key() || !reader.DecodeKey(&key) || !CheckValue(reader)) return false;
      } while (reader.Passed(','));
      return reader.EndObject();
    }
    case '[':
      return reader.Array([&reader] { return CheckValue(reader); });
    case '"': {
      std::string_view text;
      return reader.Text("a string", &text);
    }
    case 't':
    case 'f': {
      bool value = false;
      return reader.Bool(&value);
    }
    case 'n':
      return reader.SkipNull();
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': {
      double value = 0;
      return reader.Double(&value);
    }
    default:
      return reader.Malformed("expected a value");
  }
}

}  // namespace

JsonFault ExplainJson(std::string_view text) {
  json::Reader reader(text);
  const bool read = reader.Peek() == '{' ? CheckValue(reader) : reader.Expected("a JSON object");
  const Status status = reader.Finish(read);
  if (status.ok()) return {0, "a number is beyond what can be held, or the text is too deep"};
  JsonFault fault{0, std::string(status.message())};
  constexpr std::string_view kByte = "at byte ";
  if (const size_t at = fault.reason.find(kByte); at != std::string::npos) {
    const char* const digits = fault.reason.data() + at + kByte.size();
    std::from_chars(digits, fault.reason.data() + fault.reason.size(), fault.byte);
    ++fault.byte;  // the reader counts from 0
  }
  return fault;
}

}  // namespace starling::tabular
