// Frames of any kind from a server: the session must not crash, hands out only answers that are
// whole, and each stream comes to an end when the connection is gone.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "platform/http/h2_client.h"

namespace {

using starling::http::H2ClientOptions;
using starling::http::H2ClientSession;
using starling::http::H2ClientStream;

constexpr H2ClientOptions kOptions{.max_header_bytes = 2048, .max_streams = 10, .window = 4096};

void Demand(bool condition) {
  if (!condition) std::abort();
}

class Owner final : public H2ClientSession::Owner {
  void OnOutput() override {}
};

class Stream final : public H2ClientStream {
  void OnEvent() override {}
};

void Check(Stream& stream) {
  if (!stream.has_head()) return;
  Demand(stream.answer().status >= 200 && stream.answer().status <= 999);
  for (const auto* fields : {&stream.answer().headers, &stream.answer().trailers}) {
    for (const auto field : *fields) {
      Demand(!field.name.empty() && field.name[0] != ':');
      Demand(field.name.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
      Demand(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    }
  }
}

void Run(std::string_view bytes, size_t piece) {
  Owner owner;
  H2ClientSession session(kOptions, owner);
  starling::Instant now{};
  std::string out;
  session.Start();
  session.Feed(std::string_view("\0\0\0\4\0\0\0\0\0", 9), now);
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 4; ++i) {
    streams.push_back(std::make_unique<Stream>());
    Demand(streams.back()->Begin(
        session, {{":method", "POST"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}},
        i % 2 == 1));
    if (i % 2 == 1) streams.back()->Append("some text");
  }
  session.Fill(out);
  while (!bytes.empty() && !session.finished()) {
    now += std::chrono::milliseconds(1);
    if (!session.Feed(bytes.substr(0, piece), now)) break;
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (size_t i = 0; i < streams.size(); ++i) {
      Check(*streams[i]);
      // Every second body is not taken: the window bounds it.
      const std::string body = i % 2 == 0 ? streams[i]->TakeBody() : std::string();
      Demand(body.size() <= kOptions.window);
    }
    if (bytes.size() % 5 == 0) streams[0] = std::make_unique<Stream>();  // its client is gone
    out.clear();
    session.Fill(out);
    Demand(out.size() < 256 * 1024);
  }
  session.Close(starling::Unavailable("gone"));
  for (const auto& stream : streams) {
    Check(*stream);
    Demand(!stream->closed() || stream->whole() || !stream->why().ok());
  }
  Demand(session.finished() && session.open_streams() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Run(bytes, bytes.size() + 1);
  Run(bytes, 7);
  return 0;
}
