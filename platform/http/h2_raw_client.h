// An HTTP/2 client for tests that writes frames by hand, right and wrong ones. Only HPACK is
// nghttp2's. It answers nothing by itself but SETTINGS.
#pragma once

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/http/raw_socket.h"

namespace starling::http {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum FrameType : uint8_t {
  kData,
  kHeaders,
  kPriority,
  kRstStream,
  kSettings,
  kPushPromise,
  kPing,
  kGoAway,
  kWindowUpdate,
  kContinuation,
};
enum FrameFlag : uint8_t { kNoFlag = 0, kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8 };

inline std::string Big(uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  return text;
}
inline uint32_t FromBig(std::string_view text) {
  uint32_t value = 0;
  for (const char c : text) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}
inline std::string FrameText(uint8_t type, int flags, uint32_t stream, std::string_view payload) {
  std::string text = Big(static_cast<uint32_t>(payload.size()), 3);
  text += static_cast<char>(type);
  text += static_cast<char>(flags);
  return text.append(Big(stream, 4)).append(payload);
}
inline std::string Setting(uint16_t id, uint32_t value) { return Big(id, 2) + Big(value, 4); }

using Fields = std::vector<std::pair<std::string, std::string>>;
inline Fields GetFields(std::string path) {
  return {{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", std::move(path)}};
}
inline Fields PostFields(std::string path) {
  Fields fields = GetFields(std::move(path));
  fields[0].second = "POST";
  return fields;
}

class H2RawClient {
 public:
  struct Frame {
    uint8_t type = 0;
    uint8_t flags = 0;
    uint32_t stream = 0;
    std::string payload;
  };
  struct Answer {
    int status = 0;
    std::map<std::string, std::string> fields;
    std::map<std::string, std::string> trailers;
    std::string body;
    std::vector<int> interim;                           // 1xx
    std::map<std::string, std::string> interim_fields;  // of the newest
    std::optional<uint32_t> reset;                      // RST_STREAM's code
    bool ended = false;                                 // END_STREAM came
  };

  explicit H2RawClient(uint16_t port) : H2RawClient(Start{}, port) {}
  // The other side: a server's, of which "answers" are requests.
  explicit H2RawClient(RawSocket::Accepted accepted) : H2RawClient(Start{}, accepted) {}

 private:
  struct Start {};
  template <typename Peer>
  H2RawClient(Start, Peer peer) : socket_(peer) {
    nghttp2_hd_deflate_new(&deflater_, 4096);
    nghttp2_hd_inflate_new(&inflater_);
  }

 public:
  ~H2RawClient() {
    nghttp2_hd_deflate_del(deflater_);
    nghttp2_hd_inflate_del(inflater_);
  }
  H2RawClient(const H2RawClient&) = delete;
  H2RawClient& operator=(const H2RawClient&) = delete;

  RawSocket& socket() { return socket_; }

  // The preface and SETTINGS with these parameters.
  void Greet(std::string_view settings = {}) {
    Send(kPreface);
    SendFrame(kSettings, 0, 0, settings);
  }
  bool Send(std::string_view bytes) { return socket_.Send(bytes); }
  bool SendFrame(uint8_t type, int flags, uint32_t stream, std::string_view payload) {
    return Send(FrameText(type, flags, stream, payload));
  }
  std::string Encode(const Fields& fields) {
    std::vector<nghttp2_nv> list;
    for (const auto& [name, value] : fields) {
      list.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                      reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                      value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    std::string block(nghttp2_hd_deflate_bound(deflater_, list.data(), list.size()), '\0');
    const ssize_t size = nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<uint8_t*>(block.data()),
                                               block.size(), list.data(), list.size());
    EXPECT_GE(size, 0);
    block.resize(static_cast<size_t>(size));
    return block;
  }
  // A request without a body, or the head of one with.
  void Ask(uint32_t stream, const Fields& fields) {
    SendFrame(kHeaders, kEndHeaders | kEndStream, stream, Encode(fields));
  }
  void AskWithBody(uint32_t stream, const Fields& fields) {
    SendFrame(kHeaders, kEndHeaders, stream, Encode(fields));
  }
  void Get(uint32_t stream, std::string path) { Ask(stream, GetFields(std::move(path))); }

  // The next frame; nullopt: the connection is over.
  std::optional<Frame> ReadFrame() {
    const std::string head = socket_.ReadBytes(9);
    if (head.size() < 9) return std::nullopt;
    Frame frame{static_cast<uint8_t>(head[3]), static_cast<uint8_t>(head[4]),
                FromBig(head.substr(5, 4)), socket_.ReadBytes(FromBig(head.substr(0, 3)))};
    if (frame.type == kSettings && (frame.flags & kAck) == 0) SendFrame(kSettings, kAck, 0, {});
    if (frame.type == kGoAway) goaways_.push_back(FromBig(frame.payload.substr(4, 4)));
    Take(frame);
    return frame;
  }
  // The next frame of that type, others are taken on the way.
  std::optional<Frame> ReadFrame(uint8_t type) {
    for (;;) {
      std::optional<Frame> frame = ReadFrame();
      if (!frame || frame->type == type) return frame;
    }
  }
  // Until the stream has ended or the connection has.
  Answer ReadAnswer(uint32_t stream) {
    while (!answers_[stream].ended && !answers_[stream].reset && ReadFrame()) {
    }
    return answers_[stream];
  }
  // What has come of it so far.
  const Answer& AnswerSoFar(uint32_t stream) { return answers_[stream]; }
  // Reads to the end of the connection; the error code of the last GOAWAY.
  std::optional<uint32_t> ReadToGoAway() {
    while (ReadFrame()) {
    }
    if (goaways_.empty()) return std::nullopt;
    return goaways_.back();
  }
  const std::vector<uint32_t>& goaways() const { return goaways_; }

  // Whether the connection still answers, once all that was sent before has been handled and what
  // the server had to say to it has come. Acknowledgements overtake answers, so it asks twice.
  bool Pings() { return PingsOnce() && PingsOnce(); }

 private:
  bool PingsOnce() {
    SendFrame(kPing, 0, 0, "in order");
    for (;;) {
      const std::optional<Frame> frame = ReadFrame(kPing);
      if (!frame) return false;
      if ((frame->flags & kAck) != 0 && frame->payload == "in order") return true;
    }
  }

  void Take(const Frame& frame) {
    Answer& answer = answers_[frame.stream];
    if (frame.type == kHeaders) {
      const Fields fields = Decode(frame.payload);
      const bool is_head = !fields.empty() && fields[0].first == ":status";
      const int status = is_head ? std::stoi(fields[0].second) : 0;
      if (!fields.empty() && fields[0].first == ":method") {
        answer.fields = {fields.begin(), fields.end()};
      } else if (!is_head) {
        answer.trailers = {fields.begin(), fields.end()};
      } else if (status < 200) {
        answer.interim.push_back(status);
        answer.interim_fields = {fields.begin(), fields.end()};
      } else {
        answer.status = status;
        answer.fields = {fields.begin(), fields.end()};
      }
    } else if (frame.type == kData) {
      answer.body += frame.payload;
    } else if (frame.type == kRstStream && !answer.reset) {
      answer.reset = FromBig(frame.payload);
    }
    if ((frame.type == kHeaders || frame.type == kData) && (frame.flags & kEndStream) != 0)
      answer.ended = true;
  }
  Fields Decode(std::string_view block) {
    Fields fields;
    const auto* at = reinterpret_cast<const uint8_t*>(block.data());
    const uint8_t* const end = at + block.size();
    for (;;) {
      nghttp2_nv field;
      int flags = 0;
      const ssize_t used =
          nghttp2_hd_inflate_hd2(inflater_, &field, &flags, at, static_cast<size_t>(end - at), 1);
      if (used < 0) {
        ADD_FAILURE() << "the answer's fields cannot be decoded";
        return fields;
      }
      at += used;
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        fields.emplace_back(std::string(reinterpret_cast<char*>(field.name), field.namelen),
                            std::string(reinterpret_cast<char*>(field.value), field.valuelen));
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    }
    nghttp2_hd_inflate_end_headers(inflater_);
    return fields;
  }

  RawSocket socket_;
  nghttp2_hd_deflater* deflater_ = nullptr;
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::map<uint32_t, Answer> answers_;
  std::vector<uint32_t> goaways_;
};

}  // namespace starling::http
