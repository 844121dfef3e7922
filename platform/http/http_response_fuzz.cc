// Responses read from any bytes: the parser must not crash, must give the same outcome whether the
// bytes come at once or in pieces, and must keep its bounds. The first byte says whether HEAD was
// asked.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "platform/http/response_parser.h"

namespace {

using starling::http::Response;
using starling::http::ResponseLimits;
using starling::http::ResponseParser;
using Step = ResponseParser::Step;

constexpr ResponseLimits kLimits{.max_header_bytes = 2048};

// Everything that was understood, as one text.
std::string Outcome(std::string_view bytes, size_t piece, bool to_head) {
  ResponseParser parser(kLimits);
  parser.Begin(to_head);
  Response response;
  std::string outcome;
  std::string buffer;
  size_t given = 0;
  for (;;) {
    const ResponseParser::Result result = parser.Feed(buffer, response);
    if (result.used > buffer.size()) std::abort();
    const std::string body(result.body);
    buffer.erase(0, result.used);
    Step step = result.step;
    if (step == Step::kNeedMore && given == bytes.size()) step = parser.End();
    switch (step) {
      case Step::kNeedMore: {
        const std::string_view next = bytes.substr(given, piece);
        buffer.append(next);
        given += next.size();
        break;
      }
      case Step::kInterim:
      case Step::kHead:
        outcome += "|" + std::to_string(response.status);
        for (const auto field : response.headers) {
          outcome.append("\n").append(field.name).append("=").append(field.value);
          if (field.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
            std::abort();
        }
        outcome += "|";
        if (step == Step::kInterim) {
          if (response.status < 100 || response.status > 199 || response.status == 101)
            std::abort();
          response.Clear();
        }
        break;
      case Step::kBody:
        outcome += body;
        break;
      case Step::kComplete:
        outcome += parser.keep_alive() ? "|open" : "|close";
        response.Clear();
        parser.Begin(to_head);
        if (given == bytes.size() && buffer.empty()) return outcome;
        break;
      case Step::kError:
        return outcome + "|" + parser.error();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool to_head = (data[0] & 1) != 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = Outcome(bytes, bytes.size() + 1, to_head);
  if (Outcome(bytes, 1, to_head) != whole || Outcome(bytes, 7, to_head) != whole) std::abort();
  return 0;
}
