// One connection's life, as one coroutine on one io thread. Internal to the server.
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
// Answers gather in `out_` while complete requests are in the buffer, and go out in one write. When
// a pipelined request's handler has to wait, a posted flush sends the answers before it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "platform/http/request_parser.h"
#include "platform/http/response_writer.h"
#include "platform/http/server_thread.h"

namespace starling::http {

class Connection final : public Exchange,
                         private ResponseStream,
                         public std::enable_shared_from_this<Connection> {
 public:
  enum class Phase : uint8_t { kIdle, kHead, kBody, kHandling, kWriting, kLingering, kClosed };

  Connection(std::shared_ptr<ServerThread> thread, Socket socket, std::string remote_address,
             uint64_t id);
  ~Connection() override;

  Task<void> Run();

  // By the sweep.
  void CheckDeadline(Instant now);
  bool WantsClientCheck();
  void ClientIsGone();
  int descriptor() { return socket_.native_handle(); }

  // Ends everything now. True when that broke a request.
  bool Cut();

  ResponseStream& StartStream() override;
  bool streaming() const override { return streaming_; }
  CancellationToken cancellation() override;

 private:
  friend class ServerThread;  // the list's links
  enum class Sent : uint8_t { kAll, kBlocked, kBroken };
  using Step = RequestParser::Step;

  Task<Status> Write(std::string_view chunk) override;
  void Abort() override;

  Step Parse();
  Task<bool> Read();  // false: the connection is over
  void HandleReadError(bool end_of_file);
  void OnHead();
  Task<void> Handle();
  Task<void> RunHandler();
  void FinishAnswer();
  void AnswerProblem(int http_status, std::string_view detail);
  bool MoreInputWaits();
  void PrepareBuffer();
  Task<void> Linger();

  // connection_output.cc
  static constexpr size_t kGatherBytes = 64 * 1024;  // out_ is flushed above
  void AppendAnswer();
  Sent TrySend();
  Task<bool> Flush();  // false: the client is gone
  void FlushBeforeWaiting();

  bool ClientGone() const { return gone_ || cut_; }

  const std::shared_ptr<ServerThread> thread_;
  Socket socket_;
  Connection* next_ = nullptr;
  Connection* previous_ = nullptr;

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
