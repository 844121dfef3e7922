// HPACK: any bytes as the header block of a request, behind a good preface, whole and split over
// CONTINUATION frames. The session ends in order, keeps its bounds, and hands out only fields that
// are well formed; both ways to send a block give the same requests.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "platform/http/h2_session.h"

namespace {

using starling::http::H2Options;
using starling::http::H2Session;
using starling::http::H2Stream;

constexpr H2Options kOptions{.max_header_bytes = 4096,
                             .max_body_bytes = 64,
                             .max_connection_body_bytes = 256,
                             .max_streams = 10};

void Demand(bool condition) {
  if (!condition) std::abort();
}

class Owner final : public H2Session::Owner {
 public:
  void OnHead(H2Stream& stream) override {
    size_t bytes = 0;
    const auto& request = stream.request;
    Demand(!request.path.empty() && (request.path[0] == '/' || request.path == "*"));
    for (const auto field : request.headers) {
      bytes += field.name.size() + field.value.size();
      Demand(!field.name.empty() && field.name[0] != ':');
      for (const char c : field.name) Demand(!(c >= 'A' && c <= 'Z'));
      Demand(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
      said += std::string(field.name) + "=" + std::string(field.value) + "\n";
    }
    Demand(bytes <= 2 * kOptions.max_header_bytes);
    said += request.verb_text + " " + request.path + "\n";
  }
  void OnRequest(H2Stream& stream) override { requests.push_back(&stream); }
  void OnMalformed() override {}
  void OnOutput() override {}
  std::string_view Date() override { return "Sun, 06 Nov 1994 08:49:37 GMT"; }

  std::vector<H2Stream*> requests;
  std::string said;
};

void AppendFrame(std::string& out, size_t size, char type, char flags) {
  const char head[] = {static_cast<char>(size >> 16),
                       static_cast<char>(size >> 8),
                       static_cast<char>(size),
                       type,
                       flags,
                       0,
                       0,
                       0,
                       1};
  out.append(head, sizeof(head));
}

std::string Run(std::string_view block, size_t first) {
  constexpr char kHeaders = 1, kContinuation = 9, kEndStream = 1, kEndHeaders = 4;
  std::string bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
  first = std::min(first, block.size());
  const bool whole = first == block.size();
  AppendFrame(bytes, first, kHeaders,
              static_cast<char>(whole ? kEndStream | kEndHeaders : kEndStream));
  bytes.append(block.substr(0, first));
  if (!whole) {
    AppendFrame(bytes, block.size() - first, kContinuation, kEndHeaders);
    bytes.append(block.substr(first));
  }
  Owner owner;
  H2Session session(kOptions, owner);
  starling::Instant now{};
  session.Start();
  session.Feed(bytes, now);
  Demand(session.open_streams() <= kOptions.max_streams);
  for (H2Stream* stream : owner.requests) session.Answer(*stream);
  std::string out;
  session.Fill(out);
  session.Close();
  Demand(session.finished() && session.open_streams() == 0);
  return owner.said;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view block(reinterpret_cast<const char*>(data), std::min<size_t>(size, 16000));
  if (block.empty()) return 0;
  const std::string whole = Run(block, block.size());
  Demand(Run(block, block.size() / 2) == whole);
  return 0;
}
