#include "platform/http/client.h"

#include <openssl/ssl.h>
#include <array>

#include <boost/asio/connect.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "platform/async/asio_await.h"
#include "platform/http/client_pool.h"
#include "platform/http/url.h"

namespace starling::http {
namespace {

namespace beast = boost::beast;
using boost::system::error_code;
using Resolver =
    boost::asio::ip::basic_resolver<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

bool IsIdempotent(const ClientRequest& request) {
  switch (request.verb) {
    case Verb::kGet:
    case Verb::kHead:
    case Verb::kPut:
    case Verb::kDelete:
    case Verb::kOptions:
      return true;
    default:
      return request.headers.Has("idempotency-key");
  }
}

Status CheckHeaders(const Headers& headers) {
  for (const Headers::Field field : headers) {
    for (const std::string_view text : {field.name, field.value}) {
      if (text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
        return InvalidArgument("header field '{}' holds CR, LF or NUL", field.name.substr(0, 40));
      }
    }
  }
  return OkStatus();
}

std::string RequestHead(const ClientRequest& request, const HttpUrl& url) {
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", VerbText(request.verb),
                                 url.target, url.authority);
  for (const Headers::Field field : request.headers) {
    if (EqualsIgnoreCase(field.name, "host") || EqualsIgnoreCase(field.name, "content-length") ||
        EqualsIgnoreCase(field.name, "connection") ||
        EqualsIgnoreCase(field.name, "transfer-encoding")) {
      continue;
    }
    head.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  const bool has_content = !request.body.empty() || request.verb == Verb::kPost ||
                           request.verb == Verb::kPut || request.verb == Verb::kPatch;
  if (has_content) head += fmt::format("Content-Length: {}\r\n", request.body.size());
  return head + "\r\n";
}

template <typename Message>
ClientResponse HeadOf(const Message& message) {
  ClientResponse response;
  response.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    const auto name = field.name_string();
    const auto value = field.value();
    response.headers.Add({name.data(), name.size()}, {value.data(), value.size()});
  }
  return response;
}

// Whom https servers are believed by. The status is of the file that says it.
struct ClientTls {
  explicit ClientTls(const std::string& ca_file) {
    namespace ssl = boost::asio::ssl;
    context = std::make_unique<ssl::context>(ssl::context::tls_client);
    SSL_CTX* const at = context->native_handle();
    SSL_CTX_set_min_proto_version(at, TLS1_2_VERSION);
    SSL_CTX_set_options(at, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    error_code error;
    context->set_verify_mode(ssl::verify_peer, error);
    if (!error && ca_file.empty()) context->set_default_verify_paths(error);
    if (!error && !ca_file.empty()) context->load_verify_file(ca_file, error);
    if (error) {
      status = FailedPrecondition("the certificates of '{}' cannot be used: {}",
                                  ca_file.empty() ? "the system" : ca_file, error.message());
    }
  }
  std::unique_ptr<boost::asio::ssl::context> context;
  Status status;
};

// What happens to one call: at most one operation is under way, and Interrupt ends it, whichever it
// is.
class Call : public std::enable_shared_from_this<Call> {
 public:
  Call(ClientPool& pool, const ClientOptions& options, const ClientTls& tls, ClientRequest request,
       HttpUrl url)
      : pool_(pool),
        tls_(tls),
        options_(options),
        request_(std::move(request)),
        url_(std::move(url)),
        origin_(fmt::format("{}{}:{}", url_.tls ? "https://" : "", url_.host, url_.port)),
        deadline_(pool.context()),
        wake_(pool.context()),
        resolver_(pool.context()) {}

  struct Counts {
    bool opened = false;
    bool reused = false;
    bool retried = false;
  };

  Task<StatusOr<ClientResponse>> Run() {
    InterruptAfter(request_.timeout, "took longer than");
    // The token may fire on any thread.
    const auto registration =
        request_.cancellation.OnCancel([weak = weak_from_this(), context = &pool_.context()] {
          boost::asio::post(*context, [weak] {
            if (const auto self = weak.lock())
              self->Interrupt(Cancelled("the call to {} was cancelled", self->url_.authority));
          });
        });
    StatusOr<ClientResponse> response = co_await Attempt();
    if (!response.ok() && closed_before_answer_ && reused_ && IsIdempotent(request_) &&
        interrupted_.ok()) {
      counts.retried = true;
      fresh_only_ = true;
      response = co_await Attempt();
    }
    deadline_.cancel();
    co_return response;
  }

  Counts counts;

 private:
  void Interrupt(Status why) {
    if (!interrupted_.ok()) return;
    interrupted_ = std::move(why);
    wake_.cancel();
    resolver_.cancel();
    error_code ignored;
    if (connection_ != nullptr) connection_->socket.close(ignored);
  }

  // Instead of when it was said before.
  void InterruptAfter(Duration limit, const char* what) {
    deadline_.expires_after(limit);
    deadline_.async_wait([weak = weak_from_this(), limit, what](const error_code& error) {
      const auto self = weak.lock();
      // A later limit may have been set when this handler was already on its way.
      if (self == nullptr || error || self->deadline_.expiry() > std::chrono::steady_clock::now())
        return;
      self->Interrupt(DeadlineExceeded("{} {} {} {}", VerbText(self->request_.verb),
                                       self->request_.url, what, FormatDuration(limit)));
    });
  }

  Status Failed(std::string_view what, const error_code& error) const {
    if (!interrupted_.ok()) return interrupted_;
    return Unavailable("{} {}: {}", what, origin_, error.message());
  }

  Task<StatusOr<ClientResponse>> Attempt() {
    closed_before_answer_ = false;
    SlotWaiter waiter{.wake = &wake_, .granted = false, .connection = nullptr};
    wake_.expires_at(Instant::max());
    StatusOr<bool> taken = pool_.Take(origin_, waiter);
    if (!taken.ok()) co_return taken.status();
    if (!*taken) {
      error_code ignored;
      // A grant or an interrupt before this line would be lost; neither can be, as both come on
      // this thread.
      co_await wake_.async_wait(AsTask(ignored));
      if (!waiter.granted) {
        pool_.Leave(origin_, waiter);
        co_return interrupted_;
      }
    }
    connection_ = std::move(waiter.connection);
    if (fresh_only_) connection_ = nullptr;
    if (!interrupted_.ok()) {
      pool_.GiveBack(origin_, std::move(connection_));
      co_return interrupted_;
    }
    StatusOr<ClientResponse> response = co_await OnSlot();
    if (!reusable_ || !response.ok()) connection_ = nullptr;
    pool_.GiveBack(origin_, std::move(connection_));
    co_return response;
  }

  Task<StatusOr<ClientResponse>> OnSlot() {
    reusable_ = false;
    reused_ = connection_ != nullptr;
    if (reused_) {
      counts.reused = true;
    } else {
      const Status connected = co_await Connect();
      if (!connected.ok()) co_return connected;
      counts.opened = true;
    }
    if (connection_->tls != nullptr) co_return co_await AskOver(*connection_->tls);
    co_return co_await AskOver(connection_->socket);
  }

  template <typename Stream>
  Task<StatusOr<ClientResponse>> AskOver(Stream& stream) {
    const std::string head = RequestHead(request_, url_);
    const std::array<boost::asio::const_buffer, 2> parts{boost::asio::buffer(head),
                                                         boost::asio::buffer(request_.body)};
    error_code error;
    co_await boost::asio::async_write(stream, parts, AsTask(error));
    // A server may answer and close before it read all: its answer is worth more than our write
    // error.
    const error_code write_error = error;
    const bool in_pieces = static_cast<bool>(request_.on_piece);
    Task<StatusOr<ClientResponse>> reading = in_pieces ? ReadPieces(stream) : ReadResponse(stream);
    StatusOr<ClientResponse> response = co_await std::move(reading);
    if (!response.ok() && write_error && interrupted_.ok())
      co_return Failed("writing to", write_error);
    if (write_error) reusable_ = false;
    co_return response;
  }

  Task<Status> Connect() {
    error_code error;
    const auto endpoints =
        co_await resolver_.async_resolve(url_.host, std::to_string(url_.port), AsTask(error));
    if (error) co_return Failed("resolving", error);
    if (!interrupted_.ok()) co_return interrupted_;
    connection_ = std::make_unique<ClientConnection>(pool_.context());
    ClientSocket& socket = connection_->socket;
    error = boost::asio::error::host_not_found;
    for (const auto& entry : endpoints) {
      if (!interrupted_.ok()) co_return interrupted_;
      error_code ignored;
      socket.close(ignored);
      error = {};
      co_await socket.async_connect(entry.endpoint(), AsTask(error));
      if (!error) break;
    }
    if (error || !interrupted_.ok()) co_return Failed("connecting to", error);
    socket.set_option(boost::asio::ip::tcp::no_delay(true), error);
    if (!url_.tls) co_return OkStatus();
    co_return co_await AgreeOnTls();
  }

  // The server must show a certificate for this host that one of those believed has signed.
  Task<Status> AgreeOnTls() {
    if (!tls_.status.ok()) co_return tls_.status;
    auto tls = std::make_unique<boost::asio::ssl::stream<ClientSocket&>>(connection_->socket,
                                                                         *tls_.context);
    SSL* const ssl = tls->native_handle();
    error_code not_an_address;
    boost::asio::ip::make_address(url_.host, not_an_address);
    const bool set =
        not_an_address ? SSL_set_tlsext_host_name(ssl, url_.host.c_str()) == 1 &&
                             SSL_set1_host(ssl, url_.host.c_str()) == 1
                       : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), url_.host.c_str()) == 1;
    if (!set) co_return InvalidArgument("'{}' is no host that a certificate can name", url_.host);
    connection_->tls = std::move(tls);
    error_code error;
    co_await connection_->tls->async_handshake(boost::asio::ssl::stream_base::client,
                                               AsTask(error));
    const long verified = SSL_get_verify_result(connection_->tls->native_handle());
    if (error && interrupted_.ok() && verified != X509_V_OK) {
      co_return Unavailable("{} is not believed: {}", origin_,
                            X509_verify_cert_error_string(verified));
    }
    if (error || !interrupted_.ok()) co_return Failed("agreeing on TLS with", error);
    co_return OkStatus();
  }

  template <typename Stream>
  Task<StatusOr<ClientResponse>> ReadResponse(Stream& stream) {
    beast::flat_buffer buffer;
    for (;;) {
      beast::http::response_parser<beast::http::string_body> parser;
      parser.body_limit(options_.max_response_bytes);
      parser.header_limit(
          static_cast<uint32_t>(std::min<size_t>(options_.max_header_bytes, 1u << 30)));
      parser.skip(request_.verb == Verb::kHead);
      error_code error;
      co_await beast::http::async_read(stream, buffer, parser, AsTask(error));
      if (error) co_return ReadError(error, parser.got_some());
      auto& message = parser.get();
      if (message.result_int() >= 100 && message.result_int() < 200)
        continue;  // not yet the answer
      ClientResponse response = HeadOf(message);
      response.body = std::move(message.body());
      reusable_ = parser.keep_alive() && buffer.size() == 0;
      co_return response;
    }
  }

  // As ReadResponse, for a request with on_piece.
  template <typename Stream>
  Task<StatusOr<ClientResponse>> ReadPieces(Stream& stream) {
    beast::flat_buffer buffer;
    std::array<char, 16384> piece;
    buffer.reserve(piece.size());  // or it is read by some hundred bytes
    for (;;) {
      beast::http::response_parser<beast::http::buffer_body> parser;
      parser.body_limit(boost::none);
      parser.header_limit(
          static_cast<uint32_t>(std::min<size_t>(options_.max_header_bytes, 1u << 30)));
      error_code error;
      co_await beast::http::async_read_header(stream, buffer, parser, AsTask(error));
      if (error) co_return ReadError(error, parser.got_some());
      auto& message = parser.get();
      if (message.result_int() >= 100 && message.result_int() < 200) continue;
      ClientResponse response = HeadOf(message);
      const bool wanted = response.status >= 200 && response.status < 300;
      while (!parser.is_done()) {
        InterruptAfter(request_.quiet_timeout, "was quiet for");
        message.body().data = piece.data();
        message.body().size = piece.size();
        co_await beast::http::async_read_some(stream, buffer, parser, AsTask(error));
        if (error && error != beast::http::error::need_buffer) co_return ReadError(error, true);
        const std::string_view bytes(piece.data(), piece.size() - message.body().size);
        if (wanted && !bytes.empty()) {
          const Status taken = request_.on_piece(bytes);
          if (!taken.ok()) co_return taken;
        } else if (response.body.size() + bytes.size() > options_.max_response_bytes) {
          co_return ReadError(beast::http::error::body_limit, true);
        } else {
          response.body.append(bytes);
        }
      }
      reusable_ = parser.keep_alive() && buffer.size() == 0;
      co_return response;
    }
  }

  Status ReadError(const error_code& error, bool got_some) {
    if (!interrupted_.ok()) return interrupted_;
    if (error == beast::http::error::body_limit || error == beast::http::error::header_limit) {
      return ResourceExhausted("the answer of {} is above the limit of {} bytes", origin_,
                               error == beast::http::error::body_limit ? options_.max_response_bytes
                                                                       : options_.max_header_bytes);
    }
    closed_before_answer_ = !got_some && (error == beast::http::error::end_of_stream ||
                                          error == boost::asio::ssl::error::stream_truncated ||
                                          error == boost::asio::error::connection_reset ||
                                          error == boost::asio::error::broken_pipe);
    return Failed("reading from", error);
  }

  ClientPool& pool_;
  const ClientTls& tls_;
  const ClientOptions& options_;
  const ClientRequest request_;
  const HttpUrl url_;
  const std::string origin_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer wake_;
  Resolver resolver_;
  std::unique_ptr<ClientConnection> connection_;
  Status interrupted_;
  bool reused_ = false;
  bool reusable_ = false;
  bool fresh_only_ = false;
  bool closed_before_answer_ = false;
};

}  // namespace

struct Client::Shared {
  Shared(Runtime& client_runtime, Options client_options)
      : runtime(client_runtime), options(std::move(client_options)), tls(options.ca_file) {
    for (int i = 0; i < runtime.io_threads(); ++i) {
      pools.push_back(std::make_shared<ClientPool>(runtime.context(i), options));
    }
  }
  // The pool of the io thread that runs this executor, or null.
  ClientPool* PoolOf(const Executor& executor) {
    const auto* context = &executor.context();
    for (const auto& pool : pools) {
      if (context == &pool->context()) return pool.get();
    }
    return nullptr;
  }

  Runtime& runtime;
  const Options options;
  const ClientTls tls;
  std::vector<std::shared_ptr<ClientPool>> pools;
  std::atomic<uint64_t> connections_opened{0};
  std::atomic<uint64_t> connections_reused{0};
  std::atomic<uint64_t> retries{0};
  std::atomic<unsigned> next{0};

  static Task<StatusOr<ClientResponse>> Send(std::shared_ptr<Shared> shared, ClientPool& pool,
                                             ClientRequest request) {
    StatusOr<HttpUrl> url = ParseHttpUrl(request.url);
    if (!url.ok()) co_return url.status();
    const Status headers = CheckHeaders(request.headers);
    if (!headers.ok()) co_return headers;
    if (request.verb == Verb::kOther)
      co_return InvalidArgument("the request to {} has no verb", request.url);
    const auto call = std::make_shared<Call>(pool, shared->options, shared->tls, std::move(request),
                                             *std::move(url));
    StatusOr<ClientResponse> response = co_await call->Run();
    if (call->counts.opened) shared->connections_opened.fetch_add(1, std::memory_order_relaxed);
    if (call->counts.reused) shared->connections_reused.fetch_add(1, std::memory_order_relaxed);
    if (call->counts.retried) shared->retries.fetch_add(1, std::memory_order_relaxed);
    co_return response;
  }
};

Client::Client(Runtime& runtime, Options options)
    : shared_(std::make_shared<Shared>(runtime, options)) {}

Client::~Client() {
  // Each pool's sockets go on their own io thread.
  for (auto& pool : shared_->pools) {
    boost::asio::io_context& context = pool->context();
    boost::asio::post(context, [pool = std::move(pool)] { pool->Close(); });
  }
}

Task<StatusOr<ClientResponse>> Client::Send(ClientRequest request) {
  const std::shared_ptr<Shared> shared = shared_;
  const Executor here = co_await CurrentExecutor();
  if (ClientPool* pool = shared->PoolOf(here)) {
    StatusOr<ClientResponse> response = co_await Shared::Send(shared, *pool, std::move(request));
    co_return response;
  }
  const unsigned index =
      shared->next.fetch_add(1, std::memory_order_relaxed) % shared->pools.size();
  ClientPool& pool = *shared->pools[index];
  co_return co_await RunOn(pool.context().get_executor(),
                           Shared::Send(shared, pool, std::move(request)));
}

ClientStats Client::Stats() const {
  return {.connections_opened = shared_->connections_opened.load(),
          .connections_reused = shared_->connections_reused.load(),
          .retries = shared_->retries.load()};
}

}  // namespace starling::http
