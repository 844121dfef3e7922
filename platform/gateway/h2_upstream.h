// HTTP/2 to an upstream: connections that many requests of one io thread share. Internal to the
// gateway; not thread-safe.
//
//   H2Upstream upstream(thread, options, "127.0.0.1", 9001);       // an endpoint, an io thread
//   H2Request request(upstream.Take(), &exchange, received, deadline);
//   status = co_await request.Ready();          // connected, and there is room
//   request.Send(head, {.has_body = true});       // head: as AppendRequestHead writes it
//   request.Append(body); request.EndBody();
//   switch (co_await request.Next(response)) ...          // UpstreamAnswer
//
// A connection takes as many requests as its server allows, 100 at most; more requests get another
// one. Cleartext connections begin with HTTP/2 at once ("prior knowledge", RFC 9113, 3.3), those
// over TLS once ALPN agreed to it. After
// GOAWAY a connection takes no more requests, those above its last stream may be sent again. One
// that nobody used for idle_timeout says GOAWAY and is closed. One from which nothing came for
// `keepalive` while requests wait is asked by PING, as is one whose request timed out without a
// byte from it; without an answer within kPingTimeout all its requests fail.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "platform/gateway/upstream_answer.h"
#include "platform/gateway/upstream_connection.h"
#include "platform/http/h2_client.h"

namespace starling::gateway {

struct H2UpstreamOptions {
  Duration connect_timeout = std::chrono::seconds(1);
  Duration idle_timeout = std::chrono::seconds(30);
  Duration keepalive = Duration(0);  // 0: no PING but to find out about a timeout
  size_t max_header_bytes = size_t{32} * 1024;
  std::shared_ptr<http::ClientTls> tls;  // nullptr: none
};

class H2Request;

class H2UpstreamConnection final : public std::enable_shared_from_this<H2UpstreamConnection>,
                                   private http::H2ClientSession::Owner {
 public:
  static constexpr Duration kPingTimeout = std::chrono::seconds(5);

  H2UpstreamConnection(std::shared_ptr<ProxyThread> thread, const H2UpstreamOptions& options,
                       std::string host, uint16_t port);
  ~H2UpstreamConnection() override;

  void Open();
  // Whether another request should be given to it.
  bool TakesMore() const;
  bool closed() const { return state_ == State::kClosed; }
  // Takes no more requests; closes when the last has ended.
  void Retire();

 private:
  friend class H2Request;
  enum class State : uint8_t { kConnecting, kOpen, kClosed };

  void OnOutput() override;
  Task<void> Run();
  bool Read();  // false: it is over
  void Flush();
  Task<void> FlushWhenWritable();
  void Close(Status why);
  void Add(H2Request& request);
  void Remove(H2Request& request);
  void Arm();
  void Sweep();
  void CheckPeer(Instant now);
  void AskWhetherThere();

  const std::shared_ptr<ProxyThread> thread_;
  const H2UpstreamOptions options_;
  const std::string host_;
  const uint16_t port_;
  http::H2ClientSession session_;
  http::Transport transport_;
  State state_ = State::kConnecting;
  Status why_;  // kClosed
  std::vector<H2Request*> requests_;
  std::string out_;
  size_t out_sent_ = 0;
  bool flush_posted_ = false;
  bool blocked_ = false;
  bool retired_ = false;
  bool was_open_ = false;

  boost::asio::steady_timer timer_;
  bool armed_ = false;
  bool armed_long_ = false;  // until it has been idle for long
  Instant idle_since_{};
  Instant heard_{};  // the last byte from it
  Instant pinged_{};
  uint64_t pings_ = 0;
};

// One request to an upstream, on a connection of others.
class H2Request final : public UpstreamAnswer, private http::H2ClientStream {
 public:
  // `exchange`: whose client is gone ends it; nullptr: nobody's.
  H2Request(std::shared_ptr<H2UpstreamConnection> connection, http::Exchange* exchange,
            Instant received, Instant deadline);
  ~H2Request() override;

  // UNAVAILABLE (why it could not be reached), DEADLINE_EXCEEDED, CANCELLED. full(): no error, but
  // others were quicker.
  Task<Status> Ready();
  bool full() const { return full_; }
  struct Kind {
    bool has_body = false;
    bool to_head = false;
    bool takes_trailers = false;
  };
  // `head` as AppendRequestHead writes it. False as full().
  bool Send(std::string_view head, const Kind& kind);

  // More of the body; AppendAll waits until little of it is left to send, false: no more is wanted.
  using http::H2ClientStream::Append;
  using http::H2ClientStream::EndBody;
  Task<bool> AppendAll(std::string_view bytes);
  // AppendAll that waits gives false, and so does each later one.
  void InterruptBody();
  // Ends it with this error.
  void Fail(Status why) { Stop(std::move(why)); }

  Task<Step> Next(http::Response& response) override;
  Step NextRead(http::Response& response) override;
  std::string_view piece() const override { return piece_; }
  std::optional<uint64_t> content_length() const override {
    return http::H2ClientStream::content_length();
  }
  bool complete() const override { return complete_; }
  void SetDeadline(Instant deadline) override { deadline_ = deadline; }
  Status error() const override;
  // Whether anything of the answer has come.
  bool begun() const { return has_head(); }
  // The server has not looked at it: it may be sent again.
  bool unprocessed() const { return http::H2ClientStream::unprocessed(); }
  // Its connection is gone, or the server means to close it.
  bool connection_left() const;

 private:
  friend class H2UpstreamConnection;
  void OnEvent() override { Wake(); }
  void Wake();
  Task<void> Wait();
  void Stop(Status why);
  void Check(Instant now);

  const std::shared_ptr<H2UpstreamConnection> connection_;
  http::Exchange* const exchange_;
  const Instant received_;
  Instant deadline_;
  Instant sent_{};
  size_t index_ = 0;
  bool full_ = false;
  bool to_head_ = false;
  bool head_given_ = false;
  bool complete_ = false;
  bool interrupted_ = false;
  bool watches_client_ = false;
  CancellationToken client_;
  std::string piece_;
  Status stopped_;
  // The answer's reader and the body's sender may both wait.
  std::optional<Completion<bool>> waiters_[2];
};

// The connections to an endpoint that requests of one io thread share.
class H2Upstream {
 public:
  H2Upstream(std::shared_ptr<ProxyThread> thread, const H2UpstreamOptions& options,
             std::string host, uint16_t port)
      : thread_(std::move(thread)), options_(options), host_(std::move(host)), port_(port) {}
  ~H2Upstream();
  H2Upstream(H2Upstream&&) = default;

  // One that has room, a new one otherwise.
  std::shared_ptr<H2UpstreamConnection> Take();
  size_t connections() const { return connections_.size(); }

 private:
  std::shared_ptr<ProxyThread> thread_;
  H2UpstreamOptions options_;
  std::string host_;
  uint16_t port_;
  std::vector<std::shared_ptr<H2UpstreamConnection>> connections_;
};

}  // namespace starling::gateway
