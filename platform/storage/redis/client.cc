#include "platform/storage/redis/client.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>

#include "platform/base/id.h"
#include "platform/storage/redis/connection.h"
#include "platform/storage/redis/slots.h"

namespace starling::redis {
namespace {

constexpr std::string_view kAsking = "*1\r\n$6\r\nASKING\r\n";
constexpr int kMostRedirects = 6;
constexpr std::chrono::milliseconds kWhileMigrating(20);

std::string Sha1(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
    std::abort();  // no memory
  return ToHex({reinterpret_cast<const char*>(digest.data()), size});
}

}  // namespace

Script::Script(std::string_view text) : text_(text), sha_(Sha1(text)) {}

// The connections of one io thread, and what it knows of the cluster.
class Client::Lane : public std::enable_shared_from_this<Lane> {
 public:
  Lane(Executor executor, std::shared_ptr<const Options> options)
      : executor_(std::move(executor)), options_(std::move(options)) {}

  const Executor& executor() const { return executor_; }

  Task<StatusOr<Reply>> Send(uint16_t slot, const std::string& command) {
    std::optional<Redirect> redirect;
    for (int tries = 0;; ++tries) {
      const Address address = redirect.has_value() ? redirect->node : NodeOf(slot);
      const bool asking = redirect.has_value() && redirect->ask;
      const std::shared_ptr<Connection> node = At(address);
      StatusOr<Reply> reply = co_await Suspend<StatusOr<Reply>>([&](Completion<StatusOr<Reply>> c) {
        if (asking) node->Send(kAsking, {});
        node->Send(command, std::move(c));
      });
      if (!reply.ok()) {
        // Its slots may be on another node by now, which the next call finds out.
        if (Reason(reply.status()) != reason::kOverloaded) {
          slots_.Forget(address);
          ++seed_;
        }
        co_return reply;
      }
      if (!reply->is_error() || tries == kMostRedirects) co_return reply;
      if (reply->text().starts_with("TRYAGAIN")) {
        co_await SleepFor(kWhileMigrating);
        continue;
      }
      redirect = ParseRedirect(reply->text(), address);
      if (!redirect.has_value()) co_return reply;
      if (!redirect->ask) {
        slots_.Set(redirect->slot, redirect->node);
        LearnFrom(redirect->node);
      }
    }
  }

  void Close() {
    closed_ = true;
    for (const auto& connection : connections_) connection->Close();
  }

 private:
  Address NodeOf(uint16_t slot) const {
    if (const Address* node = slots_.Find(slot)) return *node;
    const auto& told = options_->url.addresses;
    const size_t at = seed_ % (told.size() + slots_.nodes().size());
    return at < told.size() ? told[at] : slots_.nodes()[at - told.size()];
  }

  std::shared_ptr<Connection> At(const Address& address) {
    const auto found =
        std::find_if(connections_.begin(), connections_.end(),
                     [&](const auto& connection) { return connection->address() == address; });
    if (found != connections_.end()) return *found;
    connections_.push_back(std::make_shared<Connection>(executor_, address, options_));
    if (closed_) connections_.back()->Close();
    return connections_.back();
  }

  // Where all the slots are, in the background: one was not where it was thought to be.
  void LearnFrom(const Address& node) {
    if (std::exchange(learning_, true)) return;
    Spawn(executor_, Learn(shared_from_this(), node));
  }
  static Task<void> Learn(std::shared_ptr<Lane> self, Address node) {
    const std::shared_ptr<Connection> connection = self->At(node);
    const std::string command = Command({"CLUSTER", "SLOTS"});
    const StatusOr<Reply> slots =
        co_await Suspend<StatusOr<Reply>>([&](Completion<StatusOr<Reply>> completion) {
          connection->Send(command, std::move(completion));
        });
    if (slots.ok()) {
      self->slots_.Fill(*slots, node);
      self->CloseOthers();
    }
    self->learning_ = false;
  }

  // Nodes that the cluster does not have any more.
  void CloseOthers() {
    const auto known = [](const std::vector<Address>& nodes, const Address& node) {
      return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
    };
    std::erase_if(connections_, [&](const std::shared_ptr<Connection>& connection) {
      const Address& node = connection->address();
      if (!connection->idle() || known(options_->url.addresses, node) ||
          known(slots_.nodes(), node)) {
        return false;
      }
      connection->Close();
      return true;
    });
  }

  const Executor executor_;
  const std::shared_ptr<const Options> options_;
  std::vector<std::shared_ptr<Connection>> connections_;  // a few: of each node asked
  SlotMap slots_;
  size_t seed_ = 0;
  bool learning_ = false;
  bool closed_ = false;
};

Client::Client(Options options, Runtime& runtime) : runtime_(runtime), shown_(options.url.Shown()) {
  const auto shared = std::make_shared<const Options>(std::move(options));
  for (int i = 0; i < runtime.io_threads(); ++i)
    lanes_.push_back(std::make_shared<Lane>(runtime.executor(i), shared));
}

Client::~Client() {
  for (const auto& lane : lanes_) boost::asio::post(lane->executor(), [lane] { lane->Close(); });
}

Task<StatusOr<Reply>> Client::Send(uint16_t slot, const std::string& command) {
  const Executor executor = co_await CurrentExecutor();
  for (const auto& lane : lanes_) {
    if (lane->executor() == executor) {
      StatusOr<Reply> reply = co_await lane->Send(slot, command);
      co_return reply;
    }
  }
  const std::shared_ptr<Lane> lane = lanes_[FastRandom() % lanes_.size()];
  Task<StatusOr<Reply>> call = lane->Send(slot, command);
  StatusOr<Reply> reply = co_await RunOn(lane->executor(), std::move(call));
  co_return reply;
}

Task<StatusOr<Reply>> Client::Call(std::string_view key, std::string command) {
  StatusOr<Reply> reply = co_await Send(SlotOf(key), command);
  if (reply.ok() && reply->is_error()) co_return StatusOfError(reply->text(), shown_);
  co_return reply;
}

Task<StatusOr<Reply>> Client::Run(const Script& script, std::span<const std::string_view> keys,
                                  std::span<const std::string_view> arguments) {
  const std::string count = std::to_string(keys.size());
  std::vector<std::string_view> words = {"EVALSHA", script.sha(), count};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  const uint16_t slot = SlotOf(keys.front());
  std::string command = Command(words);
  StatusOr<Reply> reply = co_await Send(slot, command);
  if (reply.ok() && reply->is_error() && reply->text().starts_with("NOSCRIPT")) {
    words[0] = "EVAL";
    words[1] = script.text();
    command = Command(words);
    reply = co_await Send(slot, command);
  }
  if (reply.ok() && reply->is_error()) co_return StatusOfError(reply->text(), shown_);
  co_return reply;
}

}  // namespace starling::redis
