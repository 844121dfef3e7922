// What happens when the disk under a process is full, cannot be written, or gives back something
// else than was written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <set>

#include "platform/base/id.h"
#include "platform/http/client.h"
#include "tests/faults/starling_process.h"

namespace starling {
namespace {

using testing::HasSubstr;
using testing_support::StarlingProcess;

class Disk : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(data_); }

  http::ClientResponse Send(http::Verb verb, const std::string& url, const std::string& body = "") {
    http::ClientRequest request{.verb = verb, .url = url, .headers = {}, .body = body};
    request.headers.Set("authorization", "Bearer " + key_);
    auto response = runtime_.Block(client_.Send(std::move(request)));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *std::move(response) : http::ClientResponse();
  }
  http::ClientResponse Put(const StarlingProcess& starling, const std::string& id) {
    return Send(http::Verb::kPut, starling.Url() + "/v1/products/" + id, R"({"title":"T"})");
  }
  http::ClientResponse View(const StarlingProcess& starling, const std::string& id) {
    return Send(
        http::Verb::kPost, starling.Url() + "/v1/events",
        fmt::format(
            R"({{"events":[{{"event_id":"{}","user_id":"u","product_id":"p","type":"view"}}]}})",
            id));
  }
  // The ids of the history of user "u", once it has `count` of them (or a minute has passed).
  std::string History(const StarlingProcess& starling, size_t count) {
    const Instant until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (true) {
      const std::string body =
          Send(http::Verb::kGet, starling.Url() + "/v1/users/u/history?limit=500").body;
      size_t found = 0;
      for (size_t at = 0; (at = body.find("event_id", at)) != std::string::npos; ++at) ++found;
      if (found >= count || std::chrono::steady_clock::now() > until) return body;
    }
  }

  const std::filesystem::path data_ =
      std::filesystem::temp_directory_path() / ("starling-disk-" + NewId());
  Runtime runtime_{{.io_threads = 1}};
  http::Client client_{runtime_, {}};
  std::string key_;
};

TEST_F(Disk, AFullOneRefusesWritesServesReadsAndLosesNothing) {
  std::set<std::string> products, events;
  {
    StarlingProcess starling(data_);
    ASSERT_TRUE(starling.ready()) << starling.output();
    key_ = starling.AdminKey();
    const auto write = [&](int count) {
      for (int i = 0; i < count; ++i) {
        const std::string id = NewId();
        const auto put = Put(starling, id);
        const auto viewed = View(starling, id);
        ASSERT_EQ(put.status, 200) << put.body;
        ASSERT_EQ(viewed.status, 202) << viewed.body;
        products.insert(id);
        events.insert(id);
      }
    };
    write(20);
    starling.LimitFiles(1);
    for (int i = 0; i < 5; ++i) {
      const auto put = Put(starling, "refused-" + std::to_string(i));
      const auto viewed = View(starling, "refused-" + std::to_string(i));
      for (const auto& refused : {put, viewed}) {
        EXPECT_EQ(refused.status, 503) << refused.body;
        EXPECT_EQ(refused.headers.Find("content-type"), "application/problem+json");
        EXPECT_TRUE(refused.headers.Find("retry-after").has_value()) << refused.body;
        EXPECT_THAT(refused.body, HasSubstr("the server's storage is full, busy or failing"));
        EXPECT_EQ(refused.body.find(data_.string()), std::string::npos) << refused.body;
      }
    }
    EXPECT_EQ(Send(http::Verb::kGet, starling.Url() + "/v1/products/" + *products.begin()).status,
              200);
    starling.LimitFiles(0);
    write(5);
    EXPECT_EQ(starling.End(SIGKILL), -SIGKILL);
  }
  StarlingProcess starling(data_);
  ASSERT_TRUE(starling.ready()) << starling.output();
  for (const std::string& id : products) {
    EXPECT_EQ(Send(http::Verb::kGet, starling.Url() + "/v1/products/" + id).status, 200) << id;
  }
  const std::string history = History(starling, events.size());
  for (const std::string& id : events) EXPECT_THAT(history, HasSubstr(id));
  EXPECT_EQ(history.find("refused"), std::string::npos);
  EXPECT_EQ(Send(http::Verb::kGet, starling.Url() + "/v1/products/refused-0").status, 404);
}

TEST_F(Disk, AFolderThatCannotBeMadeIsNamedWithTheRemedy) {
  const StarlingProcess starling("/proc/starling");
  EXPECT_FALSE(starling.ready());
  EXPECT_THAT(starling.output(), HasSubstr("the data folder /proc/starling cannot be made"));
  EXPECT_THAT(starling.output(), HasSubstr("--data"));
}

TEST_F(Disk, ADiskThatIsFullAtTheStartIsSaid) {
  StarlingProcess starling(data_, 1);
  EXPECT_FALSE(starling.ready());
  EXPECT_THAT(starling.output(), HasSubstr("cannot be written"));
  EXPECT_THAT(starling.output(), HasSubstr(data_.string()));
}

TEST_F(Disk, ATornTailIsCutAndDamageBeforeItIsRefusedWithTheFilesName) {
  {
    StarlingProcess starling(data_);
    ASSERT_TRUE(starling.ready()) << starling.output();
    key_ = starling.AdminKey();
    for (int i = 0; i < 10; ++i) ASSERT_EQ(View(starling, "e" + std::to_string(i)).status, 202);
    EXPECT_EQ(starling.End(SIGKILL), -SIGKILL);
  }
  const std::filesystem::path log = data_ / "events" / "user-events" / fmt::format("{:020}.log", 1);
  const uint64_t whole = std::filesystem::file_size(log);
  // The write that the power cut: a header that promises more than there is.
  std::ofstream(log, std::ios::app | std::ios::binary) << std::string("\x60\x00\x00\x00torn", 8);
  {
    StarlingProcess starling(data_);
    ASSERT_TRUE(starling.ready()) << starling.output();
    EXPECT_EQ(std::filesystem::file_size(log), whole);
    ASSERT_EQ(View(starling, "after").status, 202);
    EXPECT_THAT(History(starling, 11), HasSubstr("after"));
    EXPECT_EQ(starling.End(SIGTERM), 0);
  }
  std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(whole / 2));
  file.put('\x7f');
  file.close();
  const StarlingProcess starling(data_);
  EXPECT_FALSE(starling.ready());
  EXPECT_THAT(starling.output(), HasSubstr(log.string()));
}

}  // namespace
}  // namespace starling
