#include "platform/storage/kv/redis/test_server.h"

#include <hiredis/hiredis.h>

#include <cstdio>
#include <cstdlib>

#include "platform/testing/engine.h"

namespace starling::kv {
namespace {

[[noreturn]] void Stop(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::_Exit(1);
}

}  // namespace

struct TestRedis::State {
  std::unique_ptr<testing::Engine> engine;
};

TestRedis::TestRedis(std::string_view engine) : state_(std::make_unique<State>()) {
  auto started = testing::Engine::Start(engine);
  if (!started.ok()) Stop(started.status().ToString());
  state_->engine = *std::move(started);
}

TestRedis::~TestRedis() = default;

TestRedis& TestRedis::Get() {
  static TestRedis server;
  return server;
}

const std::string& TestRedis::url_text() const { return state_->engine->url(); }
Status TestRedis::Kill() { return state_->engine->Kill(); }
Status TestRedis::Pause() { return state_->engine->Pause(); }
Status TestRedis::Resume() { return state_->engine->Resume(); }
Status TestRedis::StartAgain() { return state_->engine->StartAgain(); }

std::string TestRedis::Tell(const redis::Address& server, const std::vector<std::string>& words) {
  redisContext* const context = redisConnect(server.host.c_str(), server.port);
  if (context == nullptr || context->err != 0) Stop("no connection to " + server.ToString());
  std::vector<const char*> texts;
  std::vector<size_t> sizes;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  auto* const reply = static_cast<redisReply*>(
      redisCommandArgv(context, static_cast<int>(words.size()), texts.data(), sizes.data()));
  if (reply == nullptr) Stop(words.front() + ": " + context->errstr);
  const bool has_text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ||
                        reply->type == REDIS_REPLY_ERROR;
  std::string answer =
      has_text ? std::string(reply->str, reply->len) : std::to_string(reply->integer);
  if (reply->type == REDIS_REPLY_ERROR) Stop(words.front() + ": " + answer);
  freeReplyObject(reply);
  redisFree(context);
  return answer;
}

}  // namespace starling::kv
