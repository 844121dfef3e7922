#include "platform/config/registry.h"
#include "platform/discovery/conformance/suite.h"
#include "platform/discovery/static_resolver.h"

namespace starling::discovery {
namespace {

// A configuration file that is written anew and read again. It outlives its resolver, as a
// process' configuration does.
class StaticWorld final : public World {
 public:
  StaticWorld()
      : file_(::testing::TempDir() + "/starling-services-" +
              std::to_string(reinterpret_cast<uintptr_t>(this)) + ".yaml") {
    Write();
    EXPECT_TRUE(registry_.Load({.file = file_}).ok());
  }
  ~StaticWorld() override { std::remove(file_.c_str()); }

  std::unique_ptr<Resolver> MakeResolver(Runtime&) override {
    return std::make_unique<StaticResolver>(services_);
  }
  void Serve(const std::string& service, std::vector<Endpoint> endpoints) override {
    served_[service] = std::move(endpoints);
    Write();
    const auto report = registry_.Reload();
    EXPECT_TRUE(report.ok()) << report.status();
  }
  bool CanBreak() const override { return false; }

 private:
  void Write() {
    std::string yaml = "discovery:\n  services:\n";
    for (const auto& [service, endpoints] : served_) {
      yaml += fmt::format("    {}:\n      endpoints:{}\n", service, endpoints.empty() ? " []" : "");
      for (const Endpoint& endpoint : endpoints) {
        yaml += fmt::format("        - {} zone={} instance={} weight={}\n", endpoint.address,
                            endpoint.zone, endpoint.instance, endpoint.weight);
      }
    }
    if (served_.empty()) yaml = "discovery: {}\n";
    std::FILE* file = std::fopen(file_.c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fputs(yaml.c_str(), file);
    std::fclose(file);
  }

  const std::string file_;
  config::Registry registry_;
  const config::Handle<StaticServices> services_ =
      registry_.Section<StaticServices>("discovery", "where services are");
  std::map<std::string, std::vector<Endpoint>> served_;
};

}  // namespace

std::unique_ptr<World> MakeStaticWorld() { return std::make_unique<StaticWorld>(); }

}  // namespace starling::discovery
