// One request being answered: what a handler gets.
//
//   Task<void> GetProduct(Exchange& exchange) {
//     exchange.response.SetBody("application/json",
//     Lookup(exchange.parameters.Find("id").value())); co_return;
//   }
//   Task<void> Watch(Exchange& exchange) {            // an answer of unknown length
//     exchange.response.headers.Set("content-type", "application/x-ndjson");
//     ResponseStream& stream = exchange.StartStream();
//     for (...) {
//       const Status written = co_await stream.Write(line);
//       if (!written.ok()) co_return;                 // the client is gone
//     }
//   }
//
//   Task<void> Upload(Exchange& exchange) {           // RouteOptions::streams_bodies_above
//     for (;;) {
//       const BodyPiece piece = co_await exchange.ReadBody();
//       if (!piece.ok()) co_return Refuse(exchange, piece.status());
//       if (!piece->has_value()) break;               // that was all
//       Take(**piece);
//     }
//   }
//
// A handler runs on the connection's io thread, must not block it, and must not throw: what it
// throws is answered with 500 and counted. The exchange lives until the handler's task has ended.
// Not thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/async/cancellation.h"
#include "platform/async/task.h"
#include "platform/http/message.h"

namespace starling::http {

// The variables of a path template with what the path had in their place, decoded. Views are good
// as long as the exchange is.
class PathParameters {
 public:
  std::optional<std::string_view> Find(std::string_view name) const;
  size_t size() const { return values_.size(); }
  auto begin() const { return values_.begin(); }  // pair of name, value in the template's order
  auto end() const { return values_.end(); }

 private:
  friend class Router;
  std::vector<std::pair<std::string_view, std::string_view>> values_;
  std::string decoded_;
};

// The answer in pieces. Each Write goes to the client at once: as it is when response.length said
// how long all of it is, else as one chunk (HTTP/1.1) or as bytes until the connection closes
// (HTTP/1.0). Pieces that are not as long as was said are an answer that broke.
class ResponseStream {
 public:
  virtual ~ResponseStream() = default;

  // Waits until the kernel took the chunk, so a slow client slows the handler; the server's
  // write_timeout bounds the wait. CANCELLED once the client is gone, or when there is nobody to
  // write for (HEAD). An empty chunk writes nothing. `chunk` must live until Write is done.
  virtual Task<Status> Write(std::string_view chunk) = 0;

  // Ends the answer as broken: the connection is cut, so that the client does not take the part for
  // the whole. Without it the answer is complete when the handler ends.
  virtual void Abort() = 0;
};

// A piece of a request's body, nullopt after the last, or why there is no more: INVALID_ARGUMENT
// (with reason PAYLOAD_TOO_LARGE, or malformed), DEADLINE_EXCEEDED (REQUEST_TIMEOUT: the client is
// too slow), CANCELLED (it is gone).
using BodyPiece = StatusOr<std::optional<std::string_view>>;

class Exchange;

// Stands between the handler of an exchange and the client: what an answer filter
// (answer_filter.h) does to an answer that is streamed.
class Outlet {
 public:
  virtual ~Outlet() = default;
  // In place of exchange.OpenStream(), which it calls.
  virtual ResponseStream& Open(Exchange& exchange) = 0;
};

class Exchange {
 public:
  virtual ~Exchange() = default;

  Request request;  // the handler may move its body out; `path` must stay, parameters point into it
  Response response;  // sent when the handler ends, unless it streamed
  PathParameters parameters;
  std::string_view
      route;  // the template that matched, "/v1/products/{id}"; "" for 404. For metrics and spans.

  // Whether the handler was called before the body was read: request.body is empty, and ReadBody
  // gives it.
  virtual bool body_streams() const { return false; }
  // The next piece of the body, not empty, good until the next call; of one that does not stream,
  // all of request.body once. The client sends no more than 64 KiB ahead of it, and is told to go
  // on (Expect: 100-continue) by the first call. An error stays; ProblemResponse makes the answer
  // that it stands for. One call at a time; it may wait while another coroutine of the handler
  // writes the answer. What is not read when the handler ends is dropped: HTTP/1.1 closes the
  // connection if it is much, HTTP/2 ends the stream alone (RFC 9113, 8.1).
  virtual Task<BodyPiece> ReadBody() {
    if (std::exchange(body_given_, true) || request.body.empty()) co_return std::nullopt;
    co_return request.body;
  }

  // A ReadBody that waits gives CANCELLED, and so does each later one.
  virtual void StopReadingBody() {}

  // From here on the answer is what is written to the stream; status, headers and length are taken
  // from `response` at the first call, later ones give the same stream.
  ResponseStream& StartStream() { return outlet != nullptr ? outlet->Open(*this) : OpenStream(); }
  virtual bool streaming() const = 0;

  Outlet* outlet = nullptr;  // set and taken off by whoever owns it
  // StartStream past the outlet.
  virtual ResponseStream& OpenStream() = 0;

  // Sends an answer that is not yet the answer (RFC 9110, 15.2) at once: 103 with its Link fields;
  // its body and length do not count. Nothing goes to who cannot take one (HTTP/1.0), or once the
  // answer has begun; 101 is StartTunnel's. One call at a time, and none beside a Write. CANCELLED
  // once the client is gone.
  virtual Task<Status> SendInterim(const Response& /*interim*/) { co_return OkStatus(); }

  // The answer is 101 Switching Protocols to what the request's Upgrade field named, with the
  // fields of `response`. From here on ReadBody gives the bytes that the client sends, nullopt once
  // it sends no more, and the stream's Write sends bytes as they are; the connection closes when
  // the handler ends. nullptr: this request cannot be answered so (HTTP/1.0, HTTP/2, a body, an
  // answer that has begun).
  virtual ResponseStream* StartTunnel() { return nullptr; }

  // Fires when the client is gone (seen within the server's sweep_interval; a half-closed
  // connection counts as gone) or when the server stops by force. It fires on the connection's io
  // thread.
  virtual CancellationToken cancellation() = 0;

 protected:
  bool body_given_ = false;
};

using Handler = std::function<Task<void>(Exchange&)>;

// An exchange without a connection: for tests of handlers and for calls inside the process. Chunks
// gather in `streamed`.
class DetachedExchange final : public Exchange, private ResponseStream {
 public:
  ResponseStream& OpenStream() override {
    streaming_ = true;
    return *this;
  }
  bool streaming() const override { return streaming_; }
  CancellationToken cancellation() override { return source.token(); }

  CancellationSource source;
  std::vector<std::string> streamed;
  bool aborted = false;

 private:
  Task<Status> Write(std::string_view chunk) override {
    if (source.token().IsCancelled()) co_return Cancelled("the client is gone");
    if (!chunk.empty()) streamed.emplace_back(chunk);
    co_return OkStatus();
  }
  void Abort() override { aborted = true; }

  bool streaming_ = false;
};

}  // namespace starling::http
