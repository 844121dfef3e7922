// The starling binary as its users start it, for tests of what happens when it, or the machine
// under it, fails.
//
//   StarlingProcess starling(folder);
//   ASSERT_TRUE(starling.ready()) << starling.output();
//   EXPECT_EQ(starling.End(SIGTERM), 0);
//
// Takes free ports. Killed with the object when it still runs. STARLING_BINARY says where it is.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace starling::testing_support {

class StarlingProcess {
 public:
  // `file_limit`: the bytes that one of its files may grow to (RLIMIT_FSIZE); 0: any. Returns once
  // it is ready or has ended.
  explicit StarlingProcess(const std::filesystem::path& data, uint64_t file_limit = 0,
                           std::vector<std::string> arguments = {"up"});
  ~StarlingProcess();
  StarlingProcess(const StarlingProcess&) = delete;

  bool ready() const;
  // What it wrote until it was ready, or all of it when it ended before.
  const std::string& output() const { return output_; }
  std::string Url() const { return "http://" + Word("API     http://"); }
  std::string AdminUrl() const;
  std::string GrpcAddress() const { return Word("gRPC    "); }
  // Only at the first start on a folder.
  std::string AdminKey() const { return Word("admin key (shown only now): "); }
  // Resident memory in bytes.
  uint64_t ResidentBytes() const;
  // Changes the limit while it runs.
  void LimitFiles(uint64_t bytes) const;
  void Signal(int signal) const;
  // The exit code, or minus the signal.
  int End(int signal);
  // The same, the signal sent to a thread that was there before main and blocks none; to the
  // process where no library made one.
  int EndByForeignThread(int signal);

 private:
  // The rest of the line after `text`; "" when there is none.
  std::string Word(const std::string& text) const;
  pid_t pid_ = 0;
  int output_end_ = -1;
  std::string output_;
};

// Runs a command of the binary to its end: `starling ARGUMENTS...`.
struct Ran {
  int exit_code = -1;
  std::string output;  // stdout and stderr
};
Ran RunStarling(const std::vector<std::string>& arguments);

}  // namespace starling::testing_support
