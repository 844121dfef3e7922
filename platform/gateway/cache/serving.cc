// How requests are served that the quick way, HttpCache::ServeFresh, does not answer.
#include <boost/asio/post.hpp>

#include "platform/gateway/cache/rules/validation.h"
#include "platform/gateway/cache/shared.h"
#include "platform/http/problem.h"

namespace starling::gateway {
namespace {

// For a refresh: there is no client.
class NobodysExchange final : public http::Exchange, private http::ResponseStream {
 public:
  http::ResponseStream& OpenStream() override {
    streaming_ = true;
    return *this;
  }
  bool streaming() const override { return streaming_; }
  CancellationToken cancellation() override { return {}; }

 private:
  Task<Status> Write(std::string_view) override {
    co_return Cancelled("nobody waits for this answer");
  }
  void Abort() override {}

  bool streaming_ = false;
};

// Methods that are not known count as unsafe (RFC 9111, 4.4).
bool IsUnsafe(const http::Request& request) {
  return request.verb != http::Verb::kGet && request.verb != http::Verb::kHead &&
         request.verb != http::Verb::kOptions && request.verb_text != "TRACE";
}

void AnswerNotCached(http::Exchange& exchange) {
  exchange.response = http::ProblemResponse(
      504, "only-if-cached, and the cache has no answer that it may give", exchange.request.path);
}

}  // namespace

class HttpCache::Shared::Reading {
 public:
  Reading(std::shared_ptr<Shared> shared, http::Exchange& exchange, std::string_view prefix,
          const Fetch& fetch)
      : shared_(std::move(shared)),
        exchange_(exchange),
        fetch_(fetch),
        facts_(exchange.request, shared_->options.obey_clients),
        key_(CacheKey(prefix, facts_.host, exchange.request.target)),
        hash_(shared_->store.HashOf(key_)) {}

  Task<void> Run() {
    const Executor executor = co_await CurrentExecutor();
    if (AnswerFromStore(executor)) co_return;
    if (facts_.said.only_if_cached) {
      AnswerNotCached(exchange_);
      co_return;
    }
    const bool waits =
        exchange_.request.verb == http::Verb::kGet && !shared_->unstorable.Has(hash_);
    Flights::Joined joined =
        shared_->flights.Join(key_, hash_, waits ? Flights::kWait : Flights::kDoNotWait);
    if (joined.flight != nullptr) {
      const Flights::Outcome outcome = co_await shared_->flights.Wait(
          joined.flight, shared_->options.wait_limit, exchange_.cancellation());
      if (AnswerFrom(outcome)) co_return;
      joined = shared_->flights.Join(key_, hash_, Flights::kDoNotWait);
    }
    // Whoever fetched it before may have ended after the look into the store above.
    if (joined.lease && AnswerFromStore(executor)) {
      joined.lease.Land({Flights::Ended::kLanded, found_});
      co_return;
    }
    if (exchange_.request.verb == http::Verb::kHead) {
      co_await FetchHead(std::move(joined.lease));
    } else {
      co_await FetchWhole(std::move(joined.lease));
    }
  }

 private:
  // Sets found_ and key_known_.
  bool AnswerFromStore(const Executor& executor) {
    Store::Found found = shared_->store.Find(key_, hash_, exchange_.request.headers);
    found_ = std::move(found.response);
    key_known_ = found.key_known;
    if (found_ == nullptr) return false;
    const Instant now = shared_->clock.MonotonicNow();
    const Use use = Judge(found_->freshness, found_->Age(now), facts_.said);
    if (use == Use::kValidate) return false;
    Count(use == Use::kFresh ? shared_->counters.hits : shared_->counters.stale);
    shared_->Answer(exchange_, *found_, now, {});
    if (use == Use::kStaleWhileRevalidate) StartRefresh(executor);
    return true;
  }

  void StartRefresh(const Executor& executor) {
    if (shared_->refreshing.load(std::memory_order_relaxed) >= shared_->options.max_refreshes)
      return;
    Flights::Joined joined = shared_->flights.Join(key_, hash_, Flights::kDoNotWait);
    if (!joined.lease) return;
    http::Request request = exchange_.request;
    request.verb = http::Verb::kGet;
    request.verb_text = "GET";
    Count(shared_->counters.refreshed);
    ++shared_->refreshing;
    Task<void> refresh =
        Refresh(shared_, std::move(joined.lease), found_, std::move(request), fetch_);
    // Behind the answer to the client.
    boost::asio::post(executor, [executor, refresh = std::move(refresh)]() mutable {
      Spawn(executor, std::move(refresh));
    });
  }

  // By the fetch of another.
  bool AnswerFrom(const Flights::Outcome& outcome) {
    if (outcome.ended == Flights::Ended::kCancelled) {
      exchange_.response = http::ProblemResponse(Cancelled("the client is gone"));
      return true;
    }
    const StoredPtr& shared = outcome.response;
    if (shared == nullptr || !shared->selecting.Match(exchange_.request.headers)) return false;
    const Instant now = shared_->clock.MonotonicNow();
    const Duration age = shared->Age(now);
    if (outcome.ended == Flights::Ended::kFailed) {
      if (!MayReplaceError(shared->freshness, age, facts_.said)) return false;
      Count(shared_->counters.stale);
      shared_->Answer(exchange_, *shared, now, {.forwarded = "stale", .collapsed = true});
      return true;
    }
    if (Judge(shared->freshness, age, facts_.said) != Use::kFresh) return false;
    Count(shared_->counters.hits);
    Count(shared_->counters.collapsed);
    shared_->Answer(exchange_, *shared, now, {.forwarded = WhyForwarded(), .collapsed = true});
    return true;
  }

  // fwd= of RFC 9211, 2.2.
  std::string_view WhyForwarded() const {
    if (found_ == nullptr) return key_known_ ? "vary-miss" : "uri-miss";
    const Duration age = found_->Age(shared_->clock.MonotonicNow());
    return Judge(found_->freshness, age, {}) == Use::kFresh ? "request" : "stale";
  }

  bool MayReplaceErrorByFound() const {
    return found_ != nullptr &&
           MayReplaceError(found_->freshness, found_->Age(shared_->clock.MonotonicNow()),
                           facts_.said);
  }

  void AnswerStaleForError(int status) {
    Count(shared_->counters.stale);
    shared_->Answer(exchange_, *found_, shared_->clock.MonotonicNow(),
                    {.forwarded = "stale", .forwarded_status = status});
  }

  Task<void> FetchWhole(Flights::Lease lease) {
    const std::string_view why = WhyForwarded();
    const bool passes_conditions = found_ == nullptr && shared_->unstorable.Has(hash_);
    http::Request request = exchange_.request;
    if (!passes_conditions) RemoveConditions(request.headers);
    const bool validates = found_ != nullptr && AddConditions(found_->headers, request.headers);
    FetchTimes times{.asked = shared_->clock.Now()};
    Fetched fetched = co_await fetch_(request, exchange_);
    if (validates && !fetched.streamed && fetched.response.status == 304 &&
        !SpeaksOf(fetched.response.headers, found_->headers)) {
      // It speaks of something that is not here.
      request = exchange_.request;
      RemoveConditions(request.headers);
      times.asked = shared_->clock.Now();
      fetched = co_await fetch_(request, exchange_);
    }
    times.answered = shared_->clock.Now();

    if (fetched.streamed) fetched.response.status = exchange_.response.status;
    const int status = fetched.response.status;
    const Taken taken =
        shared_->Take(lease, {key_, hash_, exchange_.request, found_}, fetched, times);
    if (taken.what == Taken::kError && !fetched.streamed && MayReplaceErrorByFound()) {
      AnswerStaleForError(status);
      co_return;
    }
    const bool revalidated = taken.what == Taken::kStored && status == 304;
    Count(revalidated ? shared_->counters.revalidated : shared_->counters.misses);
    if (taken.what == Taken::kStored) {
      shared_->Answer(
          exchange_, *taken.response, shared_->clock.MonotonicNow(),
          {.forwarded = why, .forwarded_status = revalidated ? 304 : 0, .stored = taken.kept});
      if (revalidated) PassCookies(fetched.response.headers);
      co_return;
    }
    if (fetched.streamed) co_return;
    AnswerAsFetched(std::move(fetched.response), why);
    if (!passes_conditions && IsNotModified(exchange_.request.headers, exchange_.response.status,
                                            exchange_.response.headers, times.answered)) {
      exchange_.response.status = 304;
      LeaveFieldsOf304(exchange_.response.headers);
      exchange_.response.body.clear();
    }
  }

  // A HEAD that nothing stored can answer: its answer brings what is stored up to date, or shows
  // that it is outdated (4.3.5).
  Task<void> FetchHead(Flights::Lease lease) {
    const std::string_view why = WhyForwarded();
    http::Request request = exchange_.request;
    FetchTimes times{.asked = shared_->clock.Now()};
    Fetched fetched = co_await fetch_(request, exchange_);
    times.answered = shared_->clock.Now();
    const http::Response& head = fetched.streamed ? exchange_.response : fetched.response;
    if (head.status == 200 && found_ != nullptr) {
      const size_t bytes = found_->body->size();
      if (head.length.value_or(bytes) == bytes &&
          HeadSpeaksOf(head.headers, found_->headers, bytes)) {
        const StoredPtr fresh = shared_->MakeFreshened(*found_, head.headers, times);
        lease.StoreIfCurrent([&] { shared_->store.Put(fresh, hash_); });
      } else {
        shared_->store.Remove(*found_, hash_);
      }
    }
    if (IsErrorToReplace(head.status) && !fetched.streamed && MayReplaceErrorByFound()) {
      AnswerStaleForError(head.status);
      co_return;
    }
    Count(shared_->counters.misses);
    if (!fetched.streamed) AnswerAsFetched(std::move(fetched.response), why);
  }

  void AnswerAsFetched(http::Response&& response, std::string_view why) {
    exchange_.response = std::move(response);
    shared_->AddCacheStatus(exchange_.response.headers, {.forwarded = why}, std::nullopt);
  }

  // A cookie that came with a 304 is for this client alone: not stored, but handed on.
  void PassCookies(const http::Headers& not_modified) {
    for (const http::Headers::Field field : not_modified) {
      if (http::EqualsIgnoreCase(field.name, "set-cookie"))
        exchange_.response.headers.Add(field.name, field.value);
    }
  }

  const std::shared_ptr<Shared> shared_;
  http::Exchange& exchange_;
  const Fetch& fetch_;
  const RequestFacts facts_;
  const std::string key_;
  const uint64_t hash_;
  StoredPtr found_;
  bool key_known_ = false;
};

Task<void> HttpCache::Shared::Read(std::shared_ptr<Shared> shared, http::Exchange& exchange,
                                   std::string_view prefix, const Fetch& fetch) {
  Reading reading(std::move(shared), exchange, prefix, fetch);
  co_await reading.Run();
}

Task<void> HttpCache::Shared::PassThrough(std::shared_ptr<Shared> shared, http::Exchange& exchange,
                                          std::string_view prefix, const Fetch& fetch) {
  const bool unsafe = IsUnsafe(exchange.request);
  const RequestFacts facts(exchange.request, shared->options.obey_clients);
  if (facts.readable && facts.said.only_if_cached) {
    AnswerNotCached(exchange);
    co_return;
  }
  // The fetch may take the request apart.
  const std::string host(unsafe ? facts.host : "");
  const std::string target(unsafe ? exchange.request.target : "");
  Count(shared->counters.bypassed);
  Fetched fetched = co_await fetch(exchange.request, exchange);
  if (!fetched.streamed) {
    exchange.response = std::move(fetched.response);
    shared->AddCacheStatus(exchange.response.headers,
                           {.forwarded = facts.readable ? "bypass" : "method"}, std::nullopt);
  }
  if (unsafe)
    shared->InvalidateBy(prefix, host, target, exchange.response.status, exchange.response.headers);
}

Task<void> HttpCache::Shared::Refresh(std::shared_ptr<Shared> shared, Flights::Lease lease,
                                      StoredPtr stale, http::Request request, Fetch fetch) {
  struct Ends {
    std::atomic<size_t>& refreshing;
    ~Ends() { --refreshing; }
  };
  const Ends ends{shared->refreshing};
  NobodysExchange nobody;
  nobody.request = request;
  RemoveConditions(request.headers);
  AddConditions(stale->headers, request.headers);
  FetchTimes times{.asked = shared->clock.Now()};
  try {
    Fetched fetched = co_await fetch(request, nobody);
    times.answered = shared->clock.Now();
    if (fetched.streamed) fetched.response.status = nobody.response.status;
    const uint64_t hash = shared->store.HashOf(stale->key);
    shared->Take(lease, {stale->key, hash, nobody.request, stale}, fetched, times);
  } catch (...) {
    // The fetch broke its promise not to throw. The stale answer stays, and the next who gets it
    // tries again.
  }
}

}  // namespace starling::gateway
