#include "platform/storage/blob/s3/test_server.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "platform/base/id.h"
#include "platform/storage/blob/s3/client.h"

namespace starling::blob {
namespace {

std::unique_ptr<testing::Engine> Started() {
  auto engine = testing::Engine::Start("s3");
  if (engine.ok()) return *std::move(engine);
  fmt::print(stderr, "{}\n", ToString(engine.status()));
  std::abort();
}

}  // namespace

TestS3& TestS3::Get() {
  static TestS3 server;
  return server;
}

TestS3::TestS3() : engine_(Started()) {}

s3::Options TestS3::MakeBucket() {
  // What tools/engines.py gives its server.
  s3::Options options{.url = engine_->url(),
                      .bucket = "test-" + NewId(),
                      .access_key = "starling",
                      .secret_key = "only-for-tests"};
  s3::Client client(options, runtime_, SystemClock());
  const auto made = client.Send({.verb = http::Verb::kPut});
  if (made.ok()) return options;
  fmt::print(stderr, "{}\n", ToString(made.status()));
  std::abort();
}

}  // namespace starling::blob
