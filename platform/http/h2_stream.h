// One request of an HTTP/2 connection, and its answer. Internal to the server.
//
//   head ──> body ──> handling ──> answering ──> closed
//     └────────└── refused (413, 431, ...): answered at once, what still comes is dropped
//
// It is there until the client (or we) closed the stream and its handler has ended.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "platform/http/router.h"

namespace starling::http {

class H2Session;

class H2Stream final : public Exchange, private ResponseStream {
 public:
  explicit H2Stream(H2Session& session) : session_(session) {}

  ResponseStream& OpenStream() override;
  bool streaming() const override { return streaming_; }
  CancellationToken cancellation() override;

  Task<Status> SendInterim(const Response& interim) override;

  void Abort() override { aborted_ = true; }

  bool body_streams() const override { return body_streams_; }
  Task<BodyPiece> ReadBody() override;
  void StopReadingBody() override;

  std::shared_ptr<const Router> router;  // set by whoever answers
  Router::Match match;
  uint64_t max_body_bytes = 0;
  std::optional<uint64_t> streams_body_above;  // as RouteOptions have it
  std::optional<Duration> body_timeout;

 private:
  friend class H2Session;
  friend class H2Callbacks;

  Task<Status> Write(std::string_view chunk) override;

  void Begin(int32_t id, size_t index);
  // Who waits in Write goes on.
  void WakeWriter(bool written);
  void ClientIsGone();
  void WakeReader();
  // Nothing more of the body comes, and whoever reads it is told why.
  void EndBody(Status why);
  // What is to be sent and has not been.
  std::string_view& pending() { return streaming_ ? chunk_ : body_; }

  H2Session& session_;
  int32_t id_ = 0;
  size_t index_ = 0;  // in the session's streams

  // Of the request.
  std::string cookies_;
  size_t header_bytes_ = 0;
  std::string malformed_;  // what is wrong with its fields
  uint64_t buffered_ = 0;  // bytes of its body that the session counts
  bool complete_ = false;  // nothing more of it is wanted
  bool has_head_ = false;
  Instant deadline_{};       // of the head, then of the body
  uint64_t body_bytes_ = 0;  // that came
  // Of a body that its handler reads.
  bool body_streams_ = false;
  bool must_continue_ = false;  // the client waits for 100
  std::string piece_;           // what the handler has
  Status body_end_;             // why no more comes
  Duration body_time_left_{};
  std::optional<Completion<bool>> reader_;

  // Of the answer.
  bool handling_ = false;
  bool streaming_ = false;
  bool aborted_ = false;
  bool submitted_ = false;
  bool ended_ = false;            // nothing will follow `pending`
  bool closed_ = false;           // the stream is gone, and with it whoever reads
  std::optional<uint64_t> left_;  // of a stream whose length is known
  std::string_view body_;
  std::string_view chunk_;
  std::optional<Completion<bool>> writer_;
  uint64_t taken_ = 0;  // bytes of the answer that went into frames
  uint64_t swept_ = 0;  // of them when it was last looked at
  std::optional<Instant> stalled_since_;
  std::optional<CancellationSource> cancellation_;
};

}  // namespace starling::http
