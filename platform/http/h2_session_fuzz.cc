// Frames of any kind behind a good preface: the session must not crash, keeps its bounds, hands out
// only requests that are whole, and comes to an end when its client is gone.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "platform/http/h2_session.h"

namespace {

using starling::http::H2Options;
using starling::http::H2Session;
using starling::http::H2Stream;

constexpr H2Options kOptions{.max_header_bytes = 2048,
                             .max_body_bytes = 4096,
                             .max_connection_body_bytes = 8192,
                             .max_streams = 10};

void Demand(bool condition) {
  if (!condition) std::abort();
}

class Owner final : public H2Session::Owner {
 public:
  void OnHead(H2Stream& stream) override {
    const auto& request = stream.request;
    Demand(!request.path.empty() && (request.path[0] == '/' || request.path == "*"));
    for (const auto field : request.headers) {
      Demand(!field.name.empty() && field.name[0] != ':');
      Demand(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    }
  }
  void OnRequest(H2Stream& stream) override {
    Demand(stream.request.body.size() <= kOptions.max_body_bytes);
    requests.push_back(&stream);
  }
  void OnMalformed() override {}
  void OnOutput() override {}
  std::string_view Date() override { return "Sun, 06 Nov 1994 08:49:37 GMT"; }

  std::vector<H2Stream*> requests;
};

void Run(std::string_view bytes, size_t piece) {
  Owner owner;
  H2Session session(kOptions, owner);
  starling::Instant now{};
  std::string out;
  const auto answer_half = [&] {
    // Every second request is answered late: after its client may have reset it.
    std::vector<H2Stream*> late;
    for (size_t i = 0; i < owner.requests.size(); ++i) {
      H2Stream* stream = owner.requests[i];
      if (i % 2 == 1) {
        late.push_back(stream);
        continue;
      }
      stream->response.headers.Set("X-Path", stream->request.path);
      stream->response.body = stream->request.body + "answer";
      session.Answer(*stream);
    }
    owner.requests = std::move(late);
  };
  session.Start();
  session.Feed(std::string_view("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33), now);
  while (!bytes.empty() && !session.finished()) {
    now += std::chrono::milliseconds(1);
    session.Feed(bytes.substr(0, piece), now);
    bytes.remove_prefix(std::min(piece, bytes.size()));
    answer_half();
    Demand(session.open_streams() <= kOptions.max_streams);
    out.clear();
    session.Fill(out);
    Demand(out.size() < 256 * 1024);
  }
  session.CheckDeadlines(now + std::chrono::hours(1), std::chrono::seconds(1));
  out.clear();
  session.Fill(out);
  session.Close();
  for (H2Stream* stream : owner.requests) session.Answer(*stream);
  Demand(session.finished() && session.open_streams() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Run(bytes, bytes.size() + 1);
  Run(bytes, 7);
  return 0;
}
