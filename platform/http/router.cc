#include "platform/http/router.h"

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <array>
#include <deque>

#include "platform/http/answer_filter.h"
#include "platform/http/path_template.h"
#include "platform/http/problem.h"

namespace starling::http {
namespace {

constexpr size_t kVerbs = 8;

uint32_t Bit(Verb verb) { return 1u << static_cast<unsigned>(verb); }

std::string AllowText(uint32_t allowed) {
  std::string text;
  const auto append = [&](Verb verb) {
    if (!text.empty()) text += ", ";
    text += VerbText(verb);
  };
  for (size_t i = 0; i < kVerbs; ++i) {
    const Verb verb = static_cast<Verb>(i);
    if (verb != Verb::kOther && verb != Verb::kOptions && (allowed & Bit(verb)) != 0) append(verb);
    if (verb == Verb::kGet && (allowed & Bit(Verb::kGet)) != 0 && (allowed & Bit(Verb::kHead)) == 0)
      append(Verb::kHead);
  }
  append(Verb::kOptions);
  return text;
}

constexpr size_t kMaxHostBytes = 253;  // of a name in DNS

char LowerCase(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace

struct Router::Route {
  Verb verb;
  std::string text;
  std::vector<PathTemplate::Variable> variables;
  Handler handler;
  RouteOptions options;
};

// A position in the paths. Its own path may end here, plain or with a custom verb. Only the router
// that made it changes it: one over that router changes a copy, and of the way to it.
struct Router::Node {
  struct End {
    std::string custom_verb;
    std::array<const Route*, kVerbs> routes{};
  };
  const Made* owner = nullptr;
  std::vector<std::pair<std::string, Node*>> literals;  // sorted
  Node* one = nullptr;
  Node* rest = nullptr;  // has ends, no children
  std::vector<End> ends;

  const Node* Literal(std::string_view text) const {
    const auto at = std::lower_bound(
        literals.begin(), literals.end(), text,
        [](const auto& child, std::string_view wanted) { return child.first < wanted; });
    return at != literals.end() && at->first == text ? at->second : nullptr;
  }
  Node*& LiteralPlace(const std::string& text) {
    const auto at = std::lower_bound(
        literals.begin(), literals.end(), text,
        [](const auto& child, std::string_view wanted) { return child.first < wanted; });
    if (at != literals.end() && at->first == text) return at->second;
    return literals.emplace(at, text, nullptr)->second;
  }
  End& MakeEnd(const std::string& custom_verb) {
    for (End& end : ends) {
      if (end.custom_verb == custom_verb) return end;
    }
    return ends.emplace_back(End{custom_verb, {}});
  }
};

// What a router made itself, at addresses that stay.
struct Router::Made {
  std::deque<Node> nodes;
  std::deque<Route> routes;
};

// One walk down the trie. Each node stands for one number of segments, so none is visited twice.
struct Router::Search {
  struct Span {
    size_t begin;
    size_t end;
  };
  std::string_view path;
  Verb verb;
  std::string_view custom_verb;
  absl::InlinedVector<Span, 16> segments;
  const Route* found = nullptr;
  uint32_t allowed = 0;

  explicit Search(const Request& request) : path(request.path), verb(request.verb) {
    size_t begin = 1;
    for (;;) {
      const size_t slash = path.find('/', begin);
      if (slash == std::string_view::npos) break;
      segments.push_back({begin, slash});
      begin = slash + 1;
    }
    segments.push_back({begin, path.size()});
  }

  // "a:train" -> "a" and the custom verb "train"; false when there is no colon to split at.
  bool SplitCustomVerb() {
    Span& last = segments.back();
    const size_t colon = path.substr(0, last.end).rfind(':');
    if (colon == std::string_view::npos || colon < last.begin) return false;
    custom_verb = path.substr(colon + 1);
    last.end = colon;
    return true;
  }
  void JoinCustomVerb() {
    custom_verb = {};
    segments.back().end = path.size();
  }

  bool End(const Node& node) {
    for (const Node::End& end : node.ends) {
      if (end.custom_verb != custom_verb) continue;
      for (size_t i = 0; i < kVerbs; ++i) {
        if (end.routes[i] != nullptr) allowed |= 1u << i;
      }
      found = end.routes[static_cast<size_t>(verb)];
      if (found == nullptr && verb == Verb::kHead)
        found = end.routes[static_cast<size_t>(Verb::kGet)];
      return found != nullptr;
    }
    return false;
  }

  bool Visit(const Node& node, size_t depth) {
    if (depth == segments.size()) return End(node) || (node.rest != nullptr && End(*node.rest));
    const Span span = segments[depth];
    const std::string_view text = path.substr(span.begin, span.end - span.begin);
    const Node* literal = node.Literal(text);
    if (literal != nullptr && Visit(*literal, depth + 1)) return true;
    if (node.one != nullptr && !text.empty() && Visit(*node.one, depth + 1)) return true;
    return node.rest != nullptr && End(*node.rest);
  }
};

Router::Router() : made_(std::make_unique<Made>()) { Own(root_); }
Router::Router(std::shared_ptr<const Router> base)
    : base_(std::move(base)),
      made_(std::make_unique<Made>()),
      root_(base_->root_),
      hosts_(base_->hosts_) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

// The node at a place that this router owns: of its own, a copy of the base's, or a new one.
Router::Node& Router::Own(Node*& place) {
  if (place != nullptr && place->owner == made_.get()) return *place;
  Node& own = place == nullptr ? made_->nodes.emplace_back() : made_->nodes.emplace_back(*place);
  own.owner = made_.get();
  place = &own;
  return own;
}

Status Router::Add(Verb verb, std::string_view path_template, Handler handler,
                   RouteOptions options) {
  if (verb == Verb::kOther)
    return InvalidArgument("route '{}' has no verb that can be routed", path_template);
  if (handler == nullptr)
    return InvalidArgument("route '{} {}' has no handler", VerbText(verb), path_template);
  STARLING_ASSIGN_OR_RETURN(PathTemplate parsed, ParsePathTemplate(path_template));
  Node* node = &Own(root_);
  for (const PathTemplate::Segment& segment : parsed.segments) {
    switch (segment.kind) {
      case PathTemplate::Segment::Kind::kLiteral:
        node = &Own(node->LiteralPlace(segment.literal));
        break;
      case PathTemplate::Segment::Kind::kOne:
        node = &Own(node->one);
        break;
      case PathTemplate::Segment::Kind::kRest:
        node = &Own(node->rest);
        break;
    }
  }
  const Route*& slot = node->MakeEnd(parsed.custom_verb).routes[static_cast<size_t>(verb)];
  if (slot != nullptr) {
    return AlreadyExists(
        "routes '{0} {1}' and '{0} {2}' match the same paths; rename a literal or drop one",
        VerbText(verb), slot->text, path_template);
  }
  slot = &made_->routes.emplace_back(Route{verb, std::string(path_template),
                                           std::move(parsed.variables), std::move(handler),
                                           std::move(options)});
  return OkStatus();
}

Status Router::AddHost(std::string_view host, Router router) {
  const std::string_view name = host.starts_with("*.") ? host.substr(1) : host;
  if (name.empty() || name.size() > kMaxHostBytes || name.back() == '.' ||
      name.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyz0123456789-_.ABCDEFGHIJKLMNOPQRSTUVWXYZ:[]") !=
          std::string_view::npos ||
      (name.find(':') != std::string_view::npos && !name.starts_with('['))) {
    return InvalidArgument(
        "'{}' is no host; write a name without its port (shop.example), all below a name "
        "(*.shop.example), or an address (10.0.0.7, [::1])",
        host);
  }
  std::string key(name);
  for (char& c : key) c = LowerCase(c);
  if (!hosts_.try_emplace(std::move(key), std::make_shared<const Router>(std::move(router))).second)
    return AlreadyExists("host '{}' was added before", host);
  return OkStatus();
}

const Router* Router::ForHost(const Request& request) const {
  std::string_view host = request.headers.Find("host").value_or("");
  if (host.starts_with('[')) {
    host = host.substr(0, host.find(']') + 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() > kMaxHostBytes || host.starts_with('.')) return nullptr;
  std::string name(host);
  for (char& c : name) c = LowerCase(c);
  if (const auto found = hosts_.find(name); found != hosts_.end()) return found->second.get();
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    if (dot == 0) continue;
    if (const auto found = hosts_.find(name.substr(dot)); found != hosts_.end())
      return found->second.get();
  }
  return nullptr;
}

Router::Match Router::Find(Exchange& exchange) const {
  if (hosts_.empty()) return FindHere(exchange);
  const Router* const host = ForHost(exchange.request);
  if (host == nullptr) return FindHere(exchange);
  const Match match = host->FindHere(exchange);
  if (match.route != nullptr || match.allowed != 0) return match;
  return FindHere(exchange);
}

Router::Match Router::FindHere(Exchange& exchange) const {
  exchange.route = {};
  PathParameters& parameters = exchange.parameters;
  parameters.values_.clear();
  if (exchange.request.path.empty() || exchange.request.path[0] != '/') return {};
  Search search(exchange.request);
  if (search.SplitCustomVerb()) {
    search.Visit(*root_, 0);
    if (search.found == nullptr) search.JoinCustomVerb();
  }
  if (search.found == nullptr) search.Visit(*root_, 0);
  if (search.found == nullptr) return {nullptr, search.allowed};

  const Route& route = *search.found;
  exchange.route = route.text;
  const std::string_view path = search.path;
  const auto value_of = [&](const PathTemplate::Variable& variable) {
    if (variable.first >= search.segments.size())
      return std::string_view();  // '**' that matched nothing
    const size_t begin = search.segments[variable.first].begin;
    const size_t last =
        variable.rest ? search.segments.size() - 1 : variable.first + variable.count - 1;
    // A '**' behind other segments of the same variable may match nothing, too.
    const size_t end = search.segments[std::min(last, search.segments.size() - 1)].end;
    return path.substr(begin, end - begin);
  };
  if (!route.variables.empty()) {
    // Decoding never grows a text, so all decoded values fit into the path's size: `decoded_` keeps
    // its address.
    parameters.decoded_.clear();
    for (const PathTemplate::Variable& variable : route.variables) {
      std::string_view value = value_of(variable);
      if (value.find('%') != std::string_view::npos) {
        parameters.decoded_.reserve(path.size());
        const size_t at = parameters.decoded_.size();
        const bool spans = variable.rest || variable.count > 1;
        for (size_t i = 0; i < value.size(); ++i) {
          if (value[i] != '%' || (spans && value.substr(i, 3) == "%2F")) {
            parameters.decoded_ += value[i];
            continue;
          }
          parameters.decoded_ += value.substr(i, 3) == "%2F" ? '/' : '%';
          i += 2;
        }
        value = std::string_view(parameters.decoded_).substr(at);
      }
      parameters.values_.emplace_back(variable.name, value);
    }
  }
  return {&route, search.allowed};
}

const RouteOptions& Router::OptionsOf(const Match& match) {
  static const RouteOptions none;
  return match.route == nullptr ? none : match.route->options;
}

// The rules of a preflight are those of the request that it asks about (Fetch, 4.8).
const AnswerFilter* Router::FilterOf(const Match& match, Exchange& exchange) const {
  const Route* route = match.route;
  Request& request = exchange.request;
  if (request.verb == Verb::kOptions) {
    const auto asked = request.headers.Find("access-control-request-method");
    const Verb wanted = asked ? ParseVerb(*asked) : Verb::kOther;
    if (wanted != Verb::kOther && request.headers.Has("origin")) {
      request.verb = wanted;
      if (const Route* found = Find(exchange).route; found != nullptr) route = found;
      request.verb = Verb::kOptions;
      (void)Find(exchange);  // its parameters again
    }
  }
  if (route != nullptr && route->options.filter != nullptr) return route->options.filter.get();
  return filter_.get();
}

Task<void> Router::Answer(const Match& match, Exchange& exchange) const {
  const AnswerFilter* const filter = FilterOf(match, exchange);
  return filter == nullptr ? Run(match, exchange) : filter->Answer(*this, match, exchange);
}

Task<void> Router::Run(const Match& match, Exchange& exchange) const {
  if (match.route != nullptr) return match.route->handler(exchange);
  return [](const Match match, Exchange& exchange) -> Task<void> {
    const Request& request = exchange.request;
    if (request.verb == Verb::kOptions && (match.allowed != 0 || request.path == "*")) {
      exchange.response.status = 204;
      exchange.response.headers.Set("Allow", AllowText(request.path == "*" ? ~0u : match.allowed));
    } else if (match.allowed != 0) {
      // RFC 9110, 9.1: 501 to a method that is unknown, 405 to one that is not for this resource.
      exchange.response = ProblemResponse(request.verb == Verb::kOther ? 501 : 405,
                                          fmt::format("{} is not possible here; use one of {}",
                                                      request.verb_text, AllowText(match.allowed)),
                                          request.path);
      exchange.response.headers.Set("Allow", AllowText(match.allowed));
    } else {
      exchange.response =
          ProblemResponse(NotFound("there is nothing at '{}'", request.path), request.path);
    }
    co_return;
  }(match, exchange);
}

Task<void> Router::Handle(Exchange& exchange) const {
  const Match match = Find(exchange);
  co_await Answer(match, exchange);
}

void Router::DescribeOwn(std::string_view host, std::vector<std::string>& routes) const {
  if (base_ != nullptr) base_->DescribeOwn(host, routes);
  for (const Route& route : made_->routes)
    routes.push_back(fmt::format("{} {}{}", VerbText(route.verb), host, route.text));
}

std::vector<std::string> Router::Describe() const {
  std::vector<std::string> routes;
  DescribeOwn("", routes);
  for (const auto& [host, router] : hosts_)
    router->DescribeOwn(host.starts_with('.') ? "*" + host : host, routes);
  return routes;
}

std::optional<std::string_view> PathParameters::Find(std::string_view name) const {
  for (const auto& [key, value] : values_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

}  // namespace starling::http
