// What resolver.h promises, as tests that every adapter passes: `World` is the source behind it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/async/runtime.h"
#include "platform/discovery/resolver.h"

namespace starling::discovery {

class World {
 public:
  virtual ~World() = default;
  virtual std::unique_ptr<Resolver> MakeResolver(Runtime& runtime) = 0;
  // Makes the source say this of a service, from now on.
  virtual void Serve(const std::string& service, std::vector<Endpoint> endpoints) = 0;
  // An endpoint as this source can say it: DNS, for one, knows no zones.
  virtual Endpoint AsTold(Endpoint endpoint) const { return endpoint; }
  // The source goes away, and comes back with what it said.
  virtual bool CanBreak() const { return true; }
  virtual void Break() {}
  virtual void Mend() {}
};

struct Source {
  std::string name;
  std::function<std::unique_ptr<World>()> make;
};

inline Endpoint At(std::string address, std::string instance = "", std::string zone = "",
                   uint32_t weight = 1) {
  return {.address = std::move(address),
          .zone = std::move(zone),
          .instance = std::move(instance),
          .contract = {},
          .weight = weight};
}

// What one watch has heard.
class Heard {
 public:
  Resolver::OnChange Callback() {
    return [this](std::vector<Endpoint> endpoints) {
      const std::lock_guard lock(mutex_);
      lists_.push_back(std::move(endpoints));
      changed_.notify_all();
    };
  }
  // Whether the newest list becomes this one within ten seconds.
  ::testing::AssertionResult Becomes(const std::vector<Endpoint>& wanted) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, std::chrono::seconds(10),
                          [&] { return !lists_.empty() && lists_.back() == wanted; }))
      return ::testing::AssertionSuccess();
    ::testing::AssertionResult failure = ::testing::AssertionFailure();
    failure << lists_.size() << " lists were heard; the last is";
    if (!lists_.empty()) {
      for (const Endpoint& endpoint : lists_.back())
        failure << " [" << endpoint.address << " " << endpoint.zone << " " << endpoint.instance
                << " " << endpoint.contract << " " << endpoint.weight << "]";
    }
    return failure;
  }
  std::vector<std::vector<Endpoint>> Lists() const {
    const std::lock_guard lock(mutex_);
    return lists_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<Endpoint>> lists_;
};

class ResolverConformance : public ::testing::TestWithParam<Source> {
 protected:
  ~ResolverConformance() override {
    resolver_.reset();
    runtime_.Stop();
  }
  void SetUp() override {
    world_ = GetParam().make();
    ASSERT_NE(world_, nullptr);
    resolver_ = world_->MakeResolver(runtime_);
  }
  std::unique_ptr<discovery::Watch> Watch(const std::string& service, Heard& heard) {
    auto watch = resolver_->Watch(service, heard.Callback());
    EXPECT_TRUE(watch.ok()) << watch.status();
    return watch.ok() ? *std::move(watch) : nullptr;
  }
  std::vector<Endpoint> AsTold(const std::vector<Endpoint>& endpoints) const {
    std::vector<Endpoint> told;
    for (const Endpoint& endpoint : endpoints) told.push_back(world_->AsTold(endpoint));
    return told;
  }

  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  std::unique_ptr<World> world_;
  std::unique_ptr<Resolver> resolver_;
};

inline std::string NameOf(const ::testing::TestParamInfo<Source>& info) { return info.param.name; }

// Each adapter's file makes its own.
std::unique_ptr<World> MakeStaticWorld();
std::unique_ptr<World> MakeEtcdWorld();
std::unique_ptr<World> MakeDnsWorld();

}  // namespace starling::discovery
