// Records as bytes, and back: what is sealed and stored. A form of our own, because records are full of secrets and
// every byte of it lives in wiped memory, and because a hundred thousand of them are read at a start: a version, then
// every field in a fixed order, numbers of variable length, texts with their length. Fields are listed once, for both
// directions. Codes that may be renumbered (errors, steps, notes) are stored by name.
//
// A record of a newer version is refused; one of an older version is read, with what it lacks at its default.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/core/secret.hpp>
#include <nestor/journal/records.hpp>

#include <string>
#include <string_view>

namespace nestor::journal {

/// Version of what `encode` writes.
inline constexpr std::uint64_t record_version = 2;

/// The clocks at one moment. A moment of the steady clock is stored with its wall time: within the same boot it is read
/// back as it was, however the wall clock stepped; after a boot it is as long ago as the wall clock says, and never in
/// the future.
struct time_anchor {
  instant now;
  wall_time wall;
  std::string boot; ///< names the boot whose steady clock `now` is of
};

wiped_string encode(const actual_record& record, const time_anchor& at);
wiped_string encode(const wanted_record& record);
wiped_string encode(const closed_record& record);

/// Errors of all three: `journal_newer` for a version this build does not know, `journal_corrupt` for bytes that are no
/// such record. Never throws.
expected<actual_record> decode_actual(std::string_view bytes, const time_anchor& at);
expected<wanted_record> decode_wanted(std::string_view bytes);
expected<closed_record> decode_closed(std::string_view bytes);

} // namespace nestor::journal
