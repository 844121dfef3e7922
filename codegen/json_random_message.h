// Random messages over every kind of field, for the tests of the JSON codec.
#pragma once

#include <google/protobuf/message.h>

#include <random>
#include <string>

namespace starling::json::test {

// Fills a message so that the JSON mapping can hold it exactly: extreme numbers, NaN and
// infinities, every kind of character, default values where presence is kept, all the well-known
// types. Equal seeds give equal messages.
void FillRandomly(google::protobuf::Message* message, std::mt19937_64& random);

// The bytes of a message, equal for equal ones: maps in order, and what an Any holds serialised
// anew.
std::string CanonicalBytes(const google::protobuf::Message& message);

}  // namespace starling::json::test
