// A connection that speaks HTTP/2: the socket, handlers and times around an H2Session. Internal to
// the server.
//
//   reads ──> H2Session ──> handlers, one coroutine a stream ──> H2Session ──> out_ ──> the kernel
//
// One coroutine reads; a second waits for the kernel to take more, only while it takes none.
// Output gathers while handlers run and goes out together.
#pragma once

#include <string>

#include "platform/http/connection.h"
#include "platform/http/h2_session.h"

namespace starling::http {

class H2Connection final : public Connection, private H2Session::Owner {
 public:
  H2Connection(std::shared_ptr<ServerThread> thread, Transport transport, Peer peer);

  // `received`: what came before it was known that this is HTTP/2.
  Task<void> Run(std::string received);

  void CheckDeadline(Instant now) override;
  void Drain() override;
  size_t Cut() override;

 private:
  void OnHead(H2Stream& stream) override;
  void OnRequest(H2Stream& stream) override;
  void OnMalformed() override;
  void OnOutput() override;
  std::string_view Date() override;

  Task<bool> Read();  // false: the client is gone, or its time is up
  void Feed(std::string_view bytes);
  Task<void> Handle(H2Stream& stream);
  void Flush();
  Task<void> FlushWhenWritable();
  void ClientLeft();
  void GiveUp();  // the socket is of no use any more
  void Wake();    // Read returns

  H2Session session_;
  std::vector<H2Stream*> requests_;  // to be handled once Feed has ended
  std::string out_;
  size_t out_sent_ = 0;
  Instant idle_since_;
  Instant blocked_since_{};
  Instant linger_until_{};
  bool blocked_ = false;  // the kernel takes no more
  bool flush_posted_ = false;
  bool feeding_ = false;
  bool drain_announced_ = false;
  bool drain_said_ = false;
  bool lingering_ = false;
  bool gone_ = false;
  bool over_ = false;
};

}  // namespace starling::http
