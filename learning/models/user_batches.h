// Users in batches, as what is fitted by steps sees them: each history with some of it left out.
//
//   UserBatches batches(rows, {.largest = BatchOf(rows), .user_exponent = 0.5, .dropout = 0.5});
//   const UserBatch batch = batches.Next();    // lasts until the next
//
// In each turn every user with anything comes once, in another order, but for a few that would not
// fill a batch. The same seed gives the same batches. 8 bytes a user and 4 an entry of a batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "learning/interactions.h"
#include "learning/random.h"

namespace starling::learning {

// What is left of one user: entries of x / |x|, divided by the share that is left on average.
struct UserInput {
  std::vector<uint32_t> items;
  std::vector<float> values;
};

struct UserBatch {
  std::span<const uint32_t> users;
  std::span<const float> weights;  // n_u^-user_exponent, of mean 1 over all users
  std::span<const UserInput> input;
};

// A 24th of the users, 64 to 256.
size_t BatchOf(const Interactions& data);

struct UserBatchOptions {
  size_t largest = 256;
  double user_exponent = 0;
  double dropout = 0;
  uint64_t seed = 1;
};

class UserBatches {
 public:
  // `rows` must live as long.
  UserBatches(const Interactions& rows, const UserBatchOptions& options);

  size_t size() const { return input_.size(); }  // of each batch; 0 when no user has anything
  UserBatch Next();
  // The same random numbers, for what else a step draws.
  Random& random() { return random_; }

 private:
  void Draw(Interactions::Row row, UserInput& input);

  const Interactions& rows_;
  double dropout_;
  Random random_;
  std::vector<uint32_t> users_;
  std::vector<float> weights_;
  std::vector<UserInput> input_;
  size_t next_ = 0;
};

}  // namespace starling::learning
