// A list of endpoints by hand, in the configuration; a change of it is taken live.
//
//   discovery:
//     services:
//       catalog:
//         endpoints: ["10.0.0.7:9000", "10.0.0.8:9000 zone=b weight=2"]
//
//   StaticResolver resolver(registry.Section<StaticServices>("discovery"));
//
// A service that the list does not name has no endpoints. Thread-safe; a watch is called within
// Watch, then on the thread that reloads the configuration.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "platform/config/fields.h"
#include "platform/config/handle.h"
#include "platform/discovery/resolver.h"
#include "platform/discovery/watchers.h"

namespace starling::discovery {

// "10.0.0.8:9000", then zone=, instance=, contract= and weight= in any order. INVALID_ARGUMENT says
// what is wrong with which word.
StatusOr<Endpoint> ParseEndpoint(std::string_view text);

struct StaticService {
  std::vector<std::string> endpoints;
  static void Describe(config::Fields<StaticService>& fields);
};

struct StaticServices {
  std::map<std::string, StaticService> services;
  static void Describe(config::Fields<StaticServices>& fields);
};

class StaticResolver final : public Resolver {
 public:
  explicit StaticResolver(config::Handle<StaticServices> services);

  StatusOr<std::unique_ptr<discovery::Watch>> Watch(std::string service,
                                                    OnChange on_change) override;

 private:
  void Take();

  const config::Handle<StaticServices> services_;
  Watchers watchers_;
  // Lists are taken one after the other; recursive, since a watch may be called meanwhile and watch
  // another service.
  std::recursive_mutex mutex_;
  std::set<std::string> named_;  // services that have, or had, a list
  config::Subscription changes_;
};

}  // namespace starling::discovery
