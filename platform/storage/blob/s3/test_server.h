// A real S3 server for tests, started once a test binary.
//
//   s3::Options options = TestS3::Get().MakeBucket();      // an empty bucket of its own
//   OpenS3(options, runtime);
//
// For tests alone: what fails ends the process with the reason. Used by one thread.
#pragma once

#include <memory>

#include "platform/async/runtime.h"
#include "platform/storage/blob/s3/options.h"
#include "platform/testing/engine.h"

namespace starling::blob {

class TestS3 {
 public:
  static TestS3& Get();
  TestS3();
  s3::Options MakeBucket();
  // How its operator would have it fail: Kill, Pause, StartAgain.
  testing::Engine& engine() { return *engine_; }

 private:
  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  const std::unique_ptr<testing::Engine> engine_;
};

}  // namespace starling::blob
