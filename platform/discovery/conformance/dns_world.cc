#include "platform/discovery/conformance/suite.h"
#include "platform/discovery/dns/dns_resolver.h"
#include "platform/discovery/dns/dns_server.h"

namespace starling::discovery {
namespace {

using std::chrono::milliseconds;

// SRV records, as of a headless service in Kubernetes; a pod's name is its instance.
class DnsWorld final : public World {
 public:
  std::unique_ptr<Resolver> MakeResolver(Runtime&) override {
    return std::make_unique<DnsResolver>(DnsResolverOptions{.name = "_grpc._tcp.{service}.test",
                                                            .servers = server_.address(),
                                                            .timeout = milliseconds(200),
                                                            .tries = 2,
                                                            .min_ttl = milliseconds(50),
                                                            .retry = milliseconds(50)});
  }
  void Serve(const std::string& service, std::vector<Endpoint> endpoints) override {
    std::vector<dns::Server::Record> records;
    for (const Endpoint& endpoint : endpoints) {
      const size_t colon = endpoint.address.rfind(':');
      const std::string pod = AsTold(endpoint).instance;
      server_.Set(pod, {dns::Server::A(endpoint.address.substr(0, colon))});
      records.push_back(dns::Server::Srv(
          0, static_cast<uint16_t>(endpoint.weight),
          static_cast<uint16_t>(std::stoi(endpoint.address.substr(colon + 1))), pod));
    }
    server_.Set(fmt::format("_grpc._tcp.{}.test", service), std::move(records));
  }
  Endpoint AsTold(Endpoint endpoint) const override {
    endpoint.zone.clear();
    endpoint.instance += ".pods.test";
    return endpoint;
  }
  void Break() override { server_.SetMood(dns::Server::Mood::kSilent); }
  void Mend() override { server_.SetMood(dns::Server::Mood::kAnswers); }

 private:
  dns::Server server_;
};

}  // namespace

std::unique_ptr<World> MakeDnsWorld() { return std::make_unique<DnsWorld>(); }

}  // namespace starling::discovery
