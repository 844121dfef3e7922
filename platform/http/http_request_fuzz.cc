// Requests read from any bytes: the parser must not crash, must give the same outcome whether the
// bytes come at once or in pieces, and must keep its bounds.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "platform/http/path_template.h"
#include "platform/http/request_parser.h"

namespace {

using starling::http::Request;
using starling::http::RequestLimits;
using starling::http::RequestParser;
using Step = RequestParser::Step;

constexpr RequestLimits kLimits{.max_header_bytes = 2048, .max_body_bytes = 4096};

// Everything that was understood, as one text.
std::string Outcome(std::string_view bytes, size_t piece) {
  RequestParser parser(kLimits);
  Request request;
  std::string outcome;
  std::string buffer;
  size_t given = 0;
  for (;;) {
    const RequestParser::Result result = parser.Feed(buffer, request);
    if (result.used > buffer.size()) std::abort();
    buffer.erase(0, result.used);
    if (request.body.size() > kLimits.max_body_bytes) std::abort();
    switch (result.step) {
      case Step::kNeedMore: {
        if (given == bytes.size()) return outcome + "|more";
        const std::string_view next = bytes.substr(given, piece);
        buffer.append(next);
        given += next.size();
        break;
      }
      case Step::kHead:
        outcome += "|" + request.verb_text + " " + request.path + "?" + request.query;
        if (request.path.empty() || (request.path[0] != '/' && request.path != "*")) std::abort();
        for (const auto field : request.headers) {
          outcome.append("\n").append(field.name).append("=").append(field.value);
          if (field.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
            std::abort();
        }
        break;
      case Step::kComplete:
        outcome += "|" + request.body;
        request.Clear();
        parser.Reset();
        break;
      case Step::kError:
        return outcome + "|" + std::to_string(parser.error().http_status) + parser.error().detail;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = Outcome(bytes, bytes.size() + 1);
  if (Outcome(bytes, 1) != whole || Outcome(bytes, 7) != whole) std::abort();

  const auto query = starling::http::ParseQuery(bytes);
  (void)query;
  const auto path_template = starling::http::ParsePathTemplate(bytes);
  (void)path_template;
  // A normal path's segments decode, and its text is normal.
  std::string path;
  if (!bytes.empty() && bytes[0] == '/' && starling::http::NormalisePath(bytes, path).ok()) {
    if (path.empty() || path[0] != '/') std::abort();
    if (path.find("/../") != std::string::npos || path.ends_with("/..")) std::abort();
    std::string again;
    if (!starling::http::NormalisePath(path, again).ok() || again != path) std::abort();
  }
  return 0;
}
