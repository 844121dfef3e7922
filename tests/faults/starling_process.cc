#include "tests/faults/starling_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace starling::testing_support {

namespace {

// Starts the binary with its output in a pipe; the pipe's end to read, or -1.
int StartBinary(std::vector<std::string> arguments, uint64_t file_limit, pid_t& pid) {
  const char* binary = std::getenv("STARLING_BINARY");  // NOLINT(concurrency-mt-unsafe)
  int ends[2];
  if (binary == nullptr || pipe2(ends, O_CLOEXEC) != 0) {
    ADD_FAILURE() << "STARLING_BINARY is not set; run this by ./dev test";
    return -1;
  }
  arguments.insert(arguments.begin(), binary);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid = fork();
  if (pid == 0) {
    // Who runs the tests in the background ignores it, and a child would too.
    std::signal(SIGINT, SIG_DFL);
    if (file_limit > 0) {
      const rlimit limit{file_limit, RLIM_INFINITY};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    execv(binary, argv.data());
    _exit(127);
  }
  close(ends[1]);
  return ends[0];
}

int ExitCode(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

StarlingProcess::StarlingProcess(const std::filesystem::path& data, uint64_t file_limit,
                                 std::vector<std::string> arguments) {
  for (const char* argument : {"--data", data.c_str(), "--port", "0"})
    arguments.emplace_back(argument);
  output_end_ = StartBinary(std::move(arguments), file_limit, pid_);
  char buffer[512];
  while (output_end_ >= 0 && !ready()) {
    const ssize_t n = read(output_end_, buffer, sizeof buffer);
    if (n <= 0) break;
    output_.append(buffer, static_cast<size_t>(n));
  }
}

StarlingProcess::~StarlingProcess() {
  if (pid_ > 0) End(SIGKILL);
  if (output_end_ >= 0) close(output_end_);
}

bool StarlingProcess::ready() const { return output_.find("\nready\n") != std::string::npos; }

std::string StarlingProcess::AdminUrl() const {
  const std::string url = "http://" + Word("admin   http://");
  return url.substr(0, url.rfind('/'));
}

uint64_t StarlingProcess::ResidentBytes() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
  uint64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void StarlingProcess::LimitFiles(uint64_t bytes) const {
  const rlimit limit{bytes == 0 ? RLIM_INFINITY : bytes, RLIM_INFINITY};
  EXPECT_EQ(prlimit(pid_, RLIMIT_FSIZE, &limit, nullptr), 0);
}

void StarlingProcess::Signal(int signal) const { kill(pid_, signal); }

int StarlingProcess::End(int signal) {
  kill(pid_, signal);
  return ExitCode(std::exchange(pid_, 0));
}

int StarlingProcess::EndByForeignThread(int signal) {
  for (const auto& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid_))) {
    const pid_t thread = static_cast<pid_t>(std::stol(task.path().filename()));
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with("SigBlk:")) continue;
      const uint64_t blocked = std::stoull(line.substr(line.find_last_of("\t ") + 1), nullptr, 16);
      // The main thread waits for signals, which looks the same.
      if (thread == pid_ || (blocked & (uint64_t{1} << (signal - 1))) != 0) continue;
      syscall(SYS_tgkill, pid_, thread, signal);
      return ExitCode(std::exchange(pid_, 0));
    }
  }
  return End(signal);
}

std::string StarlingProcess::Word(const std::string& text) const {
  const size_t at = output_.find(text);
  if (at == std::string::npos) return "";
  const size_t start = at + text.size();
  return output_.substr(start, output_.find('\n', start) - start);
}

Ran RunStarling(const std::vector<std::string>& arguments) {
  Ran ran;
  pid_t pid = 0;
  const int end = StartBinary(arguments, 0, pid);
  if (end < 0) return ran;
  char buffer[512];
  for (ssize_t n; (n = read(end, buffer, sizeof buffer)) > 0;)
    ran.output.append(buffer, static_cast<size_t>(n));
  close(end);
  ran.exit_code = ExitCode(pid);
  return ran;
}

}  // namespace starling::testing_support
