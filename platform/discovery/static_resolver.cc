#include "platform/discovery/static_resolver.h"

#include <charconv>

#include "platform/discovery/address.h"

namespace starling::discovery {
namespace {

// What is expected instead, or "".
std::string Broken(const std::vector<std::string>& endpoints) {
  for (const std::string& text : endpoints) {
    const StatusOr<Endpoint> endpoint = ParseEndpoint(text);
    if (!endpoint.ok()) return std::string(endpoint.status().message());
  }
  return "";
}

std::string_view NextWord(std::string_view& text) {
  const size_t start = std::min(text.find_first_not_of(' '), text.size());
  const size_t end = std::min(text.find(' ', start), text.size());
  const std::string_view word = text.substr(start, end - start);
  text.remove_prefix(end);
  return word;
}

}  // namespace

StatusOr<Endpoint> ParseEndpoint(std::string_view text) {
  std::string_view rest = text;
  Endpoint endpoint;
  endpoint.address = NextWord(rest);
  STARLING_RETURN_IF_ERROR(CheckAddress(endpoint.address));
  for (std::string_view word = NextWord(rest); !word.empty(); word = NextWord(rest)) {
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? "" : word.substr(equals + 1);
    if (name == "zone") {
      endpoint.zone = value;
    } else if (name == "instance") {
      endpoint.instance = value;
    } else if (name == "contract") {
      endpoint.contract = value;
    } else if (name == "weight") {
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), endpoint.weight);
      if (error != std::errc() || end != value.data() + value.size() || endpoint.weight < 1 ||
          endpoint.weight > kMaxWeight)
        return InvalidArgument("in '{}': a weight from 1 to {}, not '{}'", text, kMaxWeight, value);
    } else {
      return InvalidArgument("in '{}': zone=, instance=, contract= or weight= instead of '{}'",
                             text, word);
    }
  }
  return endpoint;
}

void StaticService::Describe(config::Fields<StaticService>& fields) {
  fields
      .Add("endpoints", &StaticService::endpoints,
           "where it is served: 10.0.0.7:9000, and after it zone=a and weight=2 when wanted")
      .Check(Broken);
}

void StaticServices::Describe(config::Fields<StaticServices>& fields) {
  fields.Add("services", &StaticServices::services, "services by name, when no registry is used");
}

StaticResolver::StaticResolver(config::Handle<StaticServices> services)
    : services_(std::move(services)) {
  changes_ = services_.OnChange([this](const StaticServices&) { Take(); });
  Take();
}

void StaticResolver::Take() {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<const StaticServices> now = services_.Get();
  for (const auto& [name, service] : now->services) named_.insert(name);
  const std::set<std::string> named = named_;
  for (const std::string& name : named) {
    std::vector<Endpoint> endpoints;
    if (const auto service = now->services.find(name); service != now->services.end()) {
      for (const std::string& text : service->second.endpoints) {
        // The configuration has refused what cannot be read.
        if (StatusOr<Endpoint> endpoint = ParseEndpoint(text); endpoint.ok())
          endpoints.push_back(*std::move(endpoint));
      }
    }
    watchers_.Set(name, std::move(endpoints));
  }
}

StatusOr<std::unique_ptr<discovery::Watch>> StaticResolver::Watch(std::string service,
                                                                  OnChange on_change) {
  STARLING_RETURN_IF_ERROR(CheckServiceName(service));
  {
    // Not in the list: known to have no endpoints.
    const std::lock_guard lock(mutex_);
    if (named_.insert(service).second) watchers_.Set(service, {});
  }
  return watchers_.Add(service, std::move(on_change));
}

}  // namespace starling::discovery
