// The compressed forms of one body, kept by whoever gives that body many times: static files, a
// cache.
//
//   response.body = file.content;
//   response.forms = file.forms;      // who compresses it looks here first, and keeps it here
//
// Thread-safe. Two threads may compress the same at once; the last one's stays.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>

#include "platform/http/coding/accept_encoding.h"

namespace starling::http {

class EncodedForms {
 public:
  virtual ~EncodedForms() = default;
  virtual std::shared_ptr<const std::string> Find(Coding coding) = 0;
  virtual void Keep(Coding coding, std::shared_ptr<const std::string> body) = 0;
  // Whether it is given so often that it should be small rather than made quickly.
  virtual bool for_long() const { return false; }
};

// Of a body that never changes: all forms, for ever.
class FormsOfFile final : public EncodedForms {
 public:
  std::shared_ptr<const std::string> Find(Coding coding) override {
    const std::lock_guard lock(mutex_);
    return forms_[static_cast<size_t>(coding)];
  }
  void Keep(Coding coding, std::shared_ptr<const std::string> body) override {
    const std::lock_guard lock(mutex_);
    forms_[static_cast<size_t>(coding)] = std::move(body);
  }
  bool for_long() const override { return true; }

 private:
  std::mutex mutex_;
  std::array<std::shared_ptr<const std::string>, kCodings> forms_;
};

}  // namespace starling::http
