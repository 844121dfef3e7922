#include "platform/gateway/answers/answer_filter.h"

#include <map>
#include <tuple>

#include "platform/gateway/answers/error_page.h"
#include "platform/gateway/route_config.h"
#include "platform/http/coding/encoded_forms.h"
#include "platform/http/problem.h"

namespace starling::gateway {
namespace {

using http::Coding;
using http::Encoder;

// What is compressed before others have their turn: 0.07 to 0.2 ms with the usual levels.
constexpr size_t kSlice = size_t{32} * 1024;
constexpr size_t kSliceForLong = size_t{8} * 1024;

Task<void> LetOthersRun() {
  co_await Suspend<bool>([](Completion<bool> turn) { turn(true); });
}

AnswerRules WithRoute(AnswerRules rules, const RouteConfig& route) {
  if (route.compress == RouteConfig::Compress::kOff) rules.compression.enabled = false;
  if (!route.cors.origins.empty()) rules.cors = route.cors;
  return rules;
}

}  // namespace

// The answer of one exchange on its way out.
class AnswerFilter::Outgoing final : public http::Outlet, private http::ResponseStream {
 public:
  Outgoing(const AnswerFilter& filter, http::Exchange& exchange)
      : filter_(filter),
        exchange_(exchange),
        accepts_(http::AcceptEncoding::Of(exchange.request.headers)) {
    exchange_.outlet = this;
  }
  ~Outgoing() override { exchange_.outlet = nullptr; }

  http::ResponseStream& Open(http::Exchange&) override {
    if (stream_ != nullptr) return encoder_ ? *this : *stream_;
    http::Response& response = exchange_.response;
    const Compression::Verdict verdict = FillHead(response.length);
    if (verdict.coding != Coding::kIdentity && body_wanted()) {
      encoder_ = http::EncoderLease::Take(verdict.coding,
                                          filter_.compression_.LevelOf(verdict.coding, false));
      left_ = std::exchange(response.length, std::nullopt);
      Count(verdict.coding);
    } else if (verdict.coding != Coding::kIdentity) {
      response.length.reset();
    }
    stream_ = &exchange_.OpenStream();
    return encoder_ ? *this : *stream_;
  }

  // The handler has ended.
  Task<void> Finish() {
    if (exchange_.streaming()) {
      if (!encoder_ || aborted_) co_return;
      if (left_.value_or(0) > 0) {
        stream_->Abort();  // it said that it would be longer
        co_return;
      }
      packed_.clear();
      encoder_->Write("", Encoder::kEnd, packed_);
      const Status ignored = co_await stream_->Write(packed_);
      (void)ignored;  // the server knows that the client is gone
      co_return;
    }
    http::Response& response = exchange_.response;
    const bool head = exchange_.request.verb == http::Verb::kHead;
    if (response.problem) {
      if (WantsPage(exchange_.request, response)) MakePage(response);
      AddVary("Accept", response.headers);
    }
    const uint64_t size =
        head ? response.length.value_or(response.body.size()) : response.body.size();
    // The length of what HEAD was asked for may not be known.
    const bool known = !head || response.length || !response.body.empty();
    const Compression::Verdict verdict = FillHead(known ? std::optional(size) : std::nullopt);
    if (verdict.not_acceptable) {
      http::Response refusal = http::ProblemResponse(
          406, "none of the content codings that are taken is there; there are zstd, br, gzip",
          exchange_.request.path);
      if (const auto trace = response.headers.Find("traceparent"))
        refusal.headers.Add("traceparent", *trace);
      AddVary("Accept-Encoding", refusal.headers);
      response = std::move(refusal);
    } else if (verdict.coding != Coding::kIdentity && head) {
      // As GET's answer, whose length only GET finds out.
      response.body.clear();
      response.length.reset();
      (void)exchange_.OpenStream();
    } else if (verdict.coding != Coding::kIdentity) {
      co_await CompressBody(verdict.coding);
    }
  }

 private:
  bool body_wanted() const { return exchange_.request.verb != http::Verb::kHead; }

  Compression::Verdict FillHead(std::optional<uint64_t> size) {
    http::Response& response = exchange_.response;
    const http::Request& request = exchange_.request;
    const std::string_view type = response.headers.Find("content-type").value_or("");
    const bool page = http::EqualsIgnoreCase(type.substr(0, 9), "text/html");
    filter_.fields_.AddTo(page, request.tls, response.headers);
    if (filter_.cors_.enabled()) filter_.cors_.AddTo(request, response);
    if (response.status == 304) {
      filter_.compression_.MarkNotModified(request, response.headers);
      return {};
    }
    const Compression::Verdict verdict =
        filter_.compression_.Judge(request, accepts_, response, size);
    if (verdict.varies) Compression::Mark(verdict, response.headers);
    return verdict;
  }

  Task<void> CompressBody(Coding coding) {
    http::Response& response = exchange_.response;
    const std::shared_ptr<http::EncodedForms> forms = response.forms;
    const size_t plain = response.body.size();
    if (forms != nullptr) {
      if (const std::shared_ptr<const std::string> kept = forms->Find(coding)) {
        response.body = *kept;
        Count(coding, plain, kept->size());
        co_return;
      }
    }
    const bool for_long = forms != nullptr && forms->for_long();
    const size_t slice = for_long ? kSliceForLong : kSlice;
    encoder_ = http::EncoderLease::Take(coding, filter_.compression_.LevelOf(coding, for_long));
    encoder_->Expect(plain);
    std::string packed;
    packed.reserve(plain / 4);
    std::string_view rest = response.body;
    while (rest.size() > slice) {
      encoder_->Write(rest.substr(0, slice), Encoder::kMore, packed);
      rest.remove_prefix(slice);
      co_await LetOthersRun();
    }
    encoder_->Write(rest, Encoder::kEnd, packed);
    response.body = std::move(packed);
    if (forms != nullptr) forms->Keep(coding, std::make_shared<const std::string>(response.body));
    Count(coding, plain, response.body.size());
  }

  // Of a stream that is compressed.
  Task<Status> Write(std::string_view chunk) override {
    if (aborted_) co_return Cancelled("the answer was broken off");
    if (left_) {
      if (chunk.size() > *left_) {
        Abort();
        co_return OutOfRange("{} bytes more than the answer's length", chunk.size() - *left_);
      }
      *left_ -= chunk.size();
    }
    while (!chunk.empty()) {
      const std::string_view slice = chunk.substr(0, kSlice);
      chunk.remove_prefix(slice.size());
      packed_.clear();
      encoder_->Write(slice, Encoder::kFlush, packed_);
      Count(Coding::kIdentity, slice.size(), packed_.size());
      Status written = co_await stream_->Write(packed_);
      if (!written.ok()) co_return written;
      if (!chunk.empty()) co_await LetOthersRun();
    }
    co_return OkStatus();
  }
  void Abort() override {
    aborted_ = true;
    stream_->Abort();
  }

  void Count(Coding coding, size_t plain = 0, size_t packed = 0) const {
    if (coding != Coding::kIdentity) filter_.counters_.answers[static_cast<size_t>(coding)]->Add();
    if (plain == 0) return;
    filter_.counters_.plain_bytes->Add(plain);
    filter_.counters_.sent_bytes->Add(packed);
  }

  const AnswerFilter& filter_;
  http::Exchange& exchange_;
  const http::AcceptEncoding accepts_;  // a handler may take the field away
  http::ResponseStream* stream_ = nullptr;
  http::EncoderLease encoder_;
  std::optional<uint64_t> left_;  // of a stream whose length is known
  std::string packed_;
  bool aborted_ = false;
};

StatusOr<std::shared_ptr<const AnswerFilter>> AnswerFilter::Make(const AnswerRules& rules,
                                                                 telemetry::Metrics& metrics) {
  Counters counters;
  for (const Coding coding : {Coding::kGzip, Coding::kBrotli, Coding::kZstd}) {
    counters.answers[static_cast<size_t>(coding)] =
        &metrics.AddCounter("starling_gateway_compressed_total", "Answers that were compressed",
                            {{"coding", std::string(http::CodingName(coding))}});
  }
  counters.plain_bytes = &metrics.AddCounter("starling_gateway_compressed_plain_bytes_total",
                                             "Bytes of them before that", {});
  counters.sent_bytes =
      &metrics.AddCounter("starling_gateway_compressed_bytes_total", "And after", {});
  std::shared_ptr<AnswerFilter> filter(new AnswerFilter(rules, counters));
  STARLING_ASSIGN_OR_RETURN(filter->compression_, Compression::Make(rules.compression));
  STARLING_ASSIGN_OR_RETURN(filter->fields_, AnswerFields::Make(rules.answer_headers, {}));
  StatusOr<Cors> cors = Cors::Parse(rules.cors);
  if (!cors.ok()) return Annotate(cors.status(), "cors");
  filter->cors_ = *std::move(cors);
  return filter;
}

StatusOr<std::shared_ptr<const AnswerFilter>> AnswerFilter::ForRoute(
    const RouteConfig& route) const {
  if (route.compress == RouteConfig::Compress::kAuto && route.cors.origins.empty() &&
      route.answer_headers.empty()) {
    return nullptr;
  }
  const AnswerRules rules = WithRoute(rules_, route);
  std::shared_ptr<AnswerFilter> filter(new AnswerFilter(rules, counters_));
  STARLING_ASSIGN_OR_RETURN(filter->compression_, Compression::Make(rules.compression));
  STARLING_ASSIGN_OR_RETURN(filter->fields_,
                            AnswerFields::Make(rules.answer_headers, route.answer_headers));
  StatusOr<Cors> cors = Cors::Parse(rules.cors);
  if (!cors.ok()) return Annotate(cors.status(), "cors");
  filter->cors_ = *std::move(cors);
  return filter;
}

Task<void> AnswerFilter::Answer(const http::Router& router, const http::Router::Match& match,
                                http::Exchange& exchange) const {
  if (cors_.enabled() && match.allowed != 0 && Cors::IsPreflight(exchange.request)) {
    cors_.AnswerPreflight(exchange.request, match.allowed, exchange.response);
    fields_.AddTo(/*is_page=*/false, exchange.request.tls, exchange.response.headers);
    co_return;
  }
  Outgoing outgoing(*this, exchange);
  co_await router.Run(match, exchange);
  co_await outgoing.Finish();
}

Status CheckAnswerRules(const AnswerRules& rules, const std::vector<RouteConfig>& routes) {
  STARLING_RETURN_IF_ERROR(Compression::Make(rules.compression).status());
  STARLING_RETURN_IF_ERROR(AnswerFields::Make(rules.answer_headers, {}).status());
  STARLING_RETURN_IF_ERROR(Annotate(Cors::Parse(rules.cors).status(), "cors"));
  using Place = std::tuple<std::string_view, const std::vector<std::string>&,
                           const std::vector<std::string>&>;
  std::map<Place, std::vector<size_t>> by_place;
  for (size_t i = 0; i < routes.size(); ++i) {
    const RouteConfig& route = routes[i];
    const std::string where = fmt::format("routes[{}]", i);
    STARLING_RETURN_IF_ERROR(
        Annotate(AnswerFields::Make({}, route.answer_headers).status(), where));
    STARLING_RETURN_IF_ERROR(Annotate(Cors::Parse(route.cors).status(), where + ".cors"));
    std::vector<size_t>& before = by_place[{route.path, route.hosts, route.methods}];
    for (const size_t j : before) {
      const RouteConfig& other = routes[j];
      if ((route.headers.empty() && other.headers.empty()) ||
          (route.compress == other.compress && route.cors == other.cors &&
           route.answer_headers == other.answer_headers)) {
        continue;
      }
      return InvalidArgument(
          "{}: compress, cors and answer_headers must be those of routes[{}], which has the same "
          "path",
          where, j);
    }
    before.push_back(i);
  }
  return OkStatus();
}

}  // namespace starling::gateway
