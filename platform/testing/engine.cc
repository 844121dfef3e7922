#include "platform/testing/engine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>

extern char** environ;

namespace starling::testing {
namespace {

// The value of one field in the tool's one line of flat JSON, quoted or not.
std::string Field(std::string_view line, std::string_view name) {
  const std::string key = fmt::format("\"{}\": ", name);
  const size_t at = line.find(key);
  if (at == std::string_view::npos) return "";
  std::string_view rest = line.substr(at + key.size());
  if (rest.starts_with('"')) {
    rest.remove_prefix(1);
    return std::string(rest.substr(0, rest.find('"')));
  }
  return std::string(rest.substr(0, rest.find_first_of(",}")));
}

}  // namespace

StatusOr<std::unique_ptr<Engine>> Engine::Start(std::string_view name) {
  std::array<int, 2> input{};
  std::array<int, 2> output{};
  if (::pipe2(input.data(), O_CLOEXEC) != 0) return absl::UnavailableError("no pipe");
  if (::pipe2(output.data(), O_CLOEXEC) != 0) {
    ::close(input[0]);
    ::close(input[1]);
    return absl::UnavailableError("no pipe");
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  std::string tool = STARLING_ENGINES_TOOL;
  std::string engine(name);
  std::string python = "python3";
  std::string run = "run";
  std::array<char*, 5> arguments = {python.data(), tool.data(), run.data(), engine.data(), nullptr};
  pid_t pid = 0;
  const int spawned =
      ::posix_spawnp(&pid, python.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(input[0]);
  ::close(output[1]);
  std::unique_ptr<Engine> started(new Engine(spawned == 0 ? pid : -1, input[1], output[0]));
  if (spawned != 0) return absl::UnavailableError("python3 cannot be started: run ./dev setup");
  STARLING_ASSIGN_OR_RETURN(const std::string line, started->ReadLine());
  started->url_ = Field(line, "url");
  const std::string port = Field(line, "port");
  std::from_chars(port.data(), port.data() + port.size(), started->port_);
  if (started->port_ == 0 || started->url_.empty())
    return absl::InternalError("tools/engines.py said: " + line);
  return started;
}

Engine::~Engine() {
  ::close(input_);  // the tool ends the engine, and itself, when its input ends
  if (pid_ > 0) {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  ::close(output_);
}

std::string Engine::address() const { return fmt::format("127.0.0.1:{}", port_); }

Status Engine::Stop() { return Command("stop"); }
Status Engine::Kill() { return Command("kill"); }
Status Engine::Pause() { return Command("pause"); }
Status Engine::Resume() { return Command("resume"); }
Status Engine::StartAgain() { return Command("start"); }

StatusOr<std::string> Engine::ReadLine() {
  while (true) {
    if (const size_t end = read_.find('\n'); end != std::string::npos) {
      std::string line = read_.substr(0, end);
      read_.erase(0, end + 1);
      return line;
    }
    std::array<char, 512> bytes;
    const ssize_t count = ::read(output_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0)
      return absl::UnavailableError("the engine did not start; its error stands above");
    read_.append(bytes.data(), static_cast<size_t>(count));
  }
}

Status Engine::Command(std::string_view command) {
  const std::string line = std::string(command) + "\n";
  if (::write(input_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    return absl::UnavailableError("the engine's keeper is gone");
  STARLING_ASSIGN_OR_RETURN(const std::string answer, ReadLine());
  if (answer != "ok") return absl::UnavailableError(answer);
  return OkStatus();
}

}  // namespace starling::testing
