#include "platform/testing/engine.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace starling::testing {
namespace {

bool Answers(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected =
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return connected;
}

TEST(EngineTest, StartsDiesAndComesBackOnItsPort) {
  int port = 0;
  {
    auto redis = Engine::Start("redis");
    ASSERT_TRUE(redis.ok()) << redis.status();
    port = (*redis)->port();
    EXPECT_EQ((*redis)->url(), "redis://" + (*redis)->address());
    EXPECT_TRUE(Answers(port));
    ASSERT_TRUE((*redis)->Kill().ok());
    EXPECT_FALSE(Answers(port));
    ASSERT_TRUE((*redis)->StartAgain().ok());
    EXPECT_TRUE(Answers(port));
  }
  EXPECT_FALSE(Answers(port));
}

TEST(EngineTest, AnUnknownOneIsAnError) {
  const auto engine = Engine::Start("abacus");
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace starling::testing
