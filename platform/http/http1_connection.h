// A connection that speaks HTTP/1.x, as one coroutine on one io thread. Internal to the server.
//
//   idle ──first byte──> head ──> body ──> handling ──> idle     (pipelined requests: straight to
//   the next head)
//     │                   │         │         │ └─ writing: the kernel's buffer is full, waits for
//     the client └─ idle_timeout     └─ 408 ───┴────┐    └─ client gone: token fires, the answer is
//     dropped
//                                        v
//                                    lingering: all is sent, the client's rest is read and dropped
//                                    ──> closed
//
// After StartTunnel the same handler passes bytes until it ends; then lingering follows.
// A route may have the body streamed: then handling follows head, and ReadBody reads.
//
// Answers gather in `out_` while complete requests are in the buffer, and go out in one write. When
// a pipelined request's handler has to wait, a posted flush sends the answers before it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "platform/http/connection.h"
#include "platform/http/request_parser.h"
#include "platform/http/response_writer.h"

namespace starling::http {

class Http1Connection final : public Exchange, private ResponseStream, public Connection {
 public:
  enum class Phase : uint8_t { kIdle, kHead, kBody, kHandling, kWriting, kLingering, kClosed };

  Http1Connection(std::shared_ptr<ServerThread> thread, Transport transport, Peer peer);

  // True: the client speaks HTTP/2, TakeOver gives what goes on.
  Task<bool> Run();
  Handover TakeOver();

  void CheckDeadline(Instant now) override;
  bool WantsClientCheck() override;
  void ClientIsGone() override;
  size_t Cut() override;

  ResponseStream& OpenStream() override;
  bool streaming() const override { return streaming_; }
  Task<Status> SendInterim(const Response& interim) override;
  ResponseStream* StartTunnel() override;
  CancellationToken cancellation() override;

  bool body_streams() const override { return body_streams_; }
  Task<BodyPiece> ReadBody() override;
  void StopReadingBody() override;

 private:
  using Sent = Transport::Sent;
  using Step = RequestParser::Step;

  Task<Status> Write(std::string_view chunk) override;
  void Abort() override;

  Step Parse();
  Task<bool> Read();  // false: the connection is over
  void HandleReadError(bool end_of_file);
  void OnHead();
  Task<void> Handle();
  // http1_body.cc
  std::optional<BodyPiece> BodyRead();  // what the buffer has; nullopt: nothing
  Task<Status> ReadMoreBody();
  Status BodyError();
  void WakeBodyReader();
  bool RestIsSmall();
  Task<bool> DropBody();  // a small rest that the handler did not read

  void FinishAnswer();
  void AnswerProblem(int http_status, std::string_view detail);
  bool MoreInputWaits();
  void PrepareBuffer();
  bool MayBePreface() const;  // HTTP/2's, or its beginning

  // http1_output.cc
  bool TakesTrailers() const;
  void AppendWithTrailers(ConnectionField field);
  static constexpr size_t kGatherBytes = size_t{64} * 1024;  // out_ is flushed above
  void AppendAnswer();
  Sent TrySend();
  Task<bool> Flush();  // false: the client is gone
  void FlushBeforeWaiting();

  bool ClientGone() const { return gone_ || cut_; }

  Phase phase_ = Phase::kIdle;
  Instant deadline_{};
  bool timed_out_ = false;
  bool gone_ = false;
  bool cut_ = false;
  bool close_after_ = false;  // the answer just made is the last
  bool streaming_ = false;
  bool aborted_ = false;
  std::optional<uint64_t> left_;  // of a stream whose length is known
  bool answer_now_ = false;       // without reading the body
  bool body_streams_ = false;     // the handler reads it
  bool tunnel_ = false;           // bytes both ways
  bool tunnel_ended_ = false;     // the client sends no more
  bool must_continue_ = false;    // the client waits for 100
  bool body_waits_ = false;       // the handler for a piece
  bool body_timed_out_ = false;
  bool body_refused_ = false;
  bool body_stopped_ = false;
  Instant body_deadline_{};
  Duration body_time_left_{};
  bool flush_posted_ = false;

  std::string in_;
  size_t in_begin_ = 0;
  size_t in_end_ = 0;
  Instant read_at_{};
  size_t body_seen_ = 0;
  RequestParser parser_;

  std::shared_ptr<const Router> router_;
  Router::Match match_;
  std::optional<CancellationSource> cancellation_;

  std::string out_;
  size_t out_sent_ = 0;
  std::string_view tail_;  // a large body, sent after out_ without copying it there
  size_t gathered_ = 0;    // answers in out_
};

}  // namespace starling::http
