#include "platform/discovery/etcd/prefix_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "platform/discovery/conformance/etcd_world.h"

namespace starling::discovery::etcd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class PrefixWatchTest : public ::testing::Test {
 protected:
  PrefixWatchTest() : prefix_(fmt::format("/starling/watch{}/", ++tests_)) {}
  ~PrefixWatchTest() override {
    watch_.reset();
    runtime_.Stop();
  }
  void Watch(Duration quiet, Duration reread) {
    auto client = std::make_shared<Client>(
        runtime_, ClientOptions{.urls = {SharedEtcd().url()}, .quiet = quiet});
    watch_ = std::make_unique<PrefixWatch>(
        std::move(client), runtime_.executor(0), prefix_,
        [this](const Values& now) {
          const std::lock_guard lock(mutex_);
          now_ = now;
          ++calls_;
          changed_.notify_all();
        },
        reread);
  }
  void Put(const std::string& key, const std::string& value) {
    const Status put = runtime_.Block(client_->Put({{prefix_ + key, value}}));
    ASSERT_TRUE(put.ok()) << put;
  }
  bool Becomes(const Values& wanted) {
    Values full;
    for (const auto& [key, value] : wanted) full[prefix_ + key] = value;
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(10), [&] { return calls_ > 0 && now_ == full; });
  }
  template <typename Condition>
  bool Eventually(Condition condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(milliseconds(10));
    return condition();
  }

  static inline int tests_ = 0;
  const std::string prefix_;
  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  const std::shared_ptr<Client> client_ =
      std::make_shared<Client>(runtime_, ClientOptions{.urls = {SharedEtcd().url()}});
  std::mutex mutex_;
  std::condition_variable changed_;
  Values now_;
  int calls_ = 0;
  std::unique_ptr<PrefixWatch> watch_;
};

TEST_F(PrefixWatchTest, FollowsKeysOfAnyBytes) {
  Put("a", std::string("\0\n\xff\"", 4));
  Watch(seconds(30), std::chrono::minutes(5));
  EXPECT_TRUE(Becomes({{"a", std::string("\0\n\xff\"", 4)}}));
  Put("b", std::string(200'000, 'x'));
  EXPECT_TRUE(Becomes({{"a", std::string("\0\n\xff\"", 4)}, {"b", std::string(200'000, 'x')}}));
  EXPECT_TRUE(runtime_.Block(client_->Delete(prefix_ + "a")).ok());
  EXPECT_TRUE(Becomes({{"b", std::string(200'000, 'x')}}));
  EXPECT_EQ(watch_->reads(), 1u);
}

TEST_F(PrefixWatchTest, GoesOnFromItsRevisionAfterAPauseAndAfterAKill) {
  Put("a", "1");
  Watch(milliseconds(300), std::chrono::minutes(5));
  ASSERT_TRUE(Becomes({{"a", "1"}}));
  ASSERT_TRUE(Eventually([&] { return watch_->watches() >= 3; }));  // it was quiet, twice
  Put("a", "2");
  EXPECT_TRUE(Becomes({{"a", "2"}}));
  ASSERT_TRUE(SharedEtcd().Kill().ok());
  ASSERT_TRUE(Eventually([&] { return !watch_->connected(); }));
  ASSERT_TRUE(SharedEtcd().StartAgain().ok());
  Put("b", "3");
  EXPECT_TRUE(Becomes({{"a", "2"}, {"b", "3"}}));
  EXPECT_EQ(watch_->reads(), 1u) << "nothing had to be read again";
}

TEST_F(PrefixWatchTest, ReadsAllAgainWhenEtcdHasForgottenItsRevision) {
  Put("a", "1");
  Watch(seconds(30), std::chrono::minutes(5));
  ASSERT_TRUE(Becomes({{"a", "1"}}));
  // Away, while things change and the past is compacted: the watch's io thread is held meanwhile,
  // and its connection cut by the kill.
  std::mutex hold;
  std::unique_lock held(hold);
  ASSERT_TRUE(SharedEtcd().Kill().ok());
  boost::asio::post(runtime_.context(0), [&] { const std::lock_guard wait(hold); });
  ASSERT_TRUE(SharedEtcd().StartAgain().ok());
  {
    Runtime other({.io_threads = 1, .blocking_threads = 1});
    auto client = std::make_shared<Client>(other, ClientOptions{.urls = {SharedEtcd().url()}});
    for (const char* value : {"2", "3", "4"})
      ASSERT_TRUE(other.Block(client->Put({{prefix_ + "a", value}})).ok());
    const auto now = other.Block(client->Range(prefix_));
    ASSERT_TRUE(now.ok());
    ASSERT_TRUE(other.Block(client->Compact(now->header.revision)).ok());
    client.reset();
    other.Stop();
  }
  held.unlock();
  EXPECT_TRUE(Becomes({{"a", "4"}}));
  EXPECT_EQ(watch_->reads(), 2u);
}

TEST_F(PrefixWatchTest, ReadsAllAgainOnceInAWhile) {
  Put("a", "1");
  Watch(milliseconds(50), milliseconds(100));
  ASSERT_TRUE(Becomes({{"a", "1"}}));
  EXPECT_TRUE(Eventually([&] { return watch_->reads() >= 3; }));
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(calls_, 1);  // what was read was no news
}

}  // namespace
}  // namespace starling::discovery::etcd
