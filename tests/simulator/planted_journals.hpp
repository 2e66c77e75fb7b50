// Journals with a bug on purpose. Each is a forwarding journal with one function that does it wrong.
#pragma once

#include "disk.hpp"

#include <memory>

namespace nestor::simulation {

using journal_maker = std::shared_ptr<actors::journal_port> (*)(std::shared_ptr<actors::journal_port>, disk&);

/// Which calls are answered before they are on the disk.
template <bool writes, bool wants, bool unwants>
std::shared_ptr<actors::journal_port> answers_early(std::shared_ptr<actors::journal_port> inner, disk& records);
/// A record of that note is answered at once, and written only with the next one.
template <supervision::note what>
std::shared_ptr<actors::journal_port> lags_behind(std::shared_ptr<actors::journal_port> inner, disk& records);

std::shared_ptr<actors::journal_port> forgets_the_end(std::shared_ptr<actors::journal_port> inner, disk& records);
std::shared_ptr<actors::journal_port> deletes_first(std::shared_ptr<actors::journal_port> inner, disk& records);
std::shared_ptr<actors::journal_port> reads_older(std::shared_ptr<actors::journal_port> inner, disk& records);
std::shared_ptr<actors::journal_port> another_installation(std::shared_ptr<actors::journal_port> inner, disk& records);
std::shared_ptr<actors::journal_port> another_secret(std::shared_ptr<actors::journal_port> inner, disk& records);
std::shared_ptr<actors::journal_port> lists_no_ends(std::shared_ptr<actors::journal_port> inner, disk& records);
std::shared_ptr<actors::journal_port> lists_all_but_one(std::shared_ptr<actors::journal_port> inner, disk& records);
std::shared_ptr<actors::journal_port> lists_no_intents(std::shared_ptr<actors::journal_port> inner, disk& records);

} // namespace nestor::simulation
