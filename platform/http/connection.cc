#include "platform/http/connection.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <cstdio>

#include "platform/async/asio_await.h"
#include "platform/http/problem.h"

namespace starling::http {
namespace {

constexpr size_t kLingerBytes = 4 * 1024 * 1024;

using boost::system::error_code;

}  // namespace

Connection::Connection(std::shared_ptr<ServerThread> thread, Transport transport, Peer peer)
    : thread_(std::move(thread)), transport_(std::move(transport)), peer_(std::move(peer)) {
  thread_->Link(this);
}

Connection::~Connection() {
  thread_->Unlink(this);
  thread_->core().connections.fetch_sub(1, std::memory_order_release);
}

void Connection::Introduce(Request& request) const {
  request.remote_address = peer_.address;
  request.connection_id = peer_.connection_id;
  request.thread_index = thread_->index();
  request.tls = peer_.tls;
  request.client_certificate = peer_.certificate;
}

Task<bool> Connection::RunHandler(const Router& router, const Router::Match& match,
                                  Exchange& exchange) {
  ServerCore& core = thread_->core();
  // Leaves with the frame, also when that is destroyed where it waits.
  struct InFlight {
    std::atomic<size_t>& count;
    ~InFlight() { count.fetch_sub(1, std::memory_order_relaxed); }
  } in_flight{core.in_flight};
  if (core.in_flight.fetch_add(1, std::memory_order_relaxed) >= core.options.max_in_flight) {
    thread_->counters.rejected_requests.Add();
    exchange.response =
        ProblemResponse(Overloaded(fmt::format("{} requests are in flight, the server's limit",
                                               core.options.max_in_flight),
                                   std::chrono::seconds(1)),
                        exchange.request.path);
    co_return true;
  }
  thread_->counters.requests.Add();
  const char* what = "an exception of unknown type";
  std::string message;
  try {
    co_await router.Answer(match, exchange);
    co_return true;
  } catch (const std::exception& e) {
    message = e.what();
    what = message.c_str();
  } catch (...) {
  }
  thread_->counters.handler_exceptions.Add();
  std::fprintf(stderr, "error: the handler of %s %s threw: %s\n",
               exchange.request.verb_text.c_str(), exchange.request.path.c_str(), what);
  if (!exchange.streaming()) {
    exchange.response.Clear();
    exchange.response = ProblemResponse(Internal("a handler threw"), exchange.request.path);
  }
  co_return false;
}

void Connection::Observe(const Exchange& exchange) const {
  if (!thread_->options().observer) return;
  thread_->options().observer(exchange,
                              std::chrono::steady_clock::now() - exchange.request.received);
}

Task<void> Connection::DropInput() {
  transport_.FinishSending();
  std::array<char, 4096> bytes;
  error_code error;
  size_t dropped = 0;
  while (!error && dropped < kLingerBytes) {
    dropped +=
        co_await transport_.socket().async_read_some(boost::asio::buffer(bytes), AsTask(error));
  }
}

void Connection::Close() {
  error_code ignored;
  transport_.socket().close(ignored);
}

}  // namespace starling::http
