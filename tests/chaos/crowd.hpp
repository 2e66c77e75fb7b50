// Clients of a node that keeps being killed: each creates, changes, pauses and deletes sandboxes of its own over the
// API, one request after the other, and remembers what it was promised and what it was never answered.
#pragma once

#include "serve/serving.hpp"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace nestor::tests {

/// One sandbox, as its client knows it.
struct promised {
  std::string name, id, provider;
  std::map<std::uint64_t, std::string> models; ///< by generation: what was acknowledged
  std::set<std::string> unsure;                ///< models of changes that nobody answered
  bool ends = false;                           ///< its end was acknowledged
  bool may_end = false;                        ///< … or asked for, and not answered
};

struct crowd_order {
  std::vector<std::string> providers;
  std::size_t clients = 3;
  std::size_t sandboxes = 8; ///< of one client, at a time
  std::uint64_t seed = 1;
};

class crowd {
public:
  explicit crowd(crowd_order order);
  /// Ends the clients.
  ~crowd();
  crowd(const crowd&) = delete;
  crowd& operator=(const crowd&) = delete;

  /// A node answers there from now on.
  void node_is(std::uint16_t port, const std::string& token);
  /// Waits until that many more requests were answered, at most `within`.
  void await(std::size_t more, std::chrono::milliseconds within);
  /// No new sandbox and no change any more; what was asked and not answered is asked again until it is. True when all
  /// of it is, within that time.
  bool come_to_rest(std::chrono::milliseconds within);

  /// After they have come to rest.
  [[nodiscard]] std::vector<promised> all() const;
  /// What no client may ever see, in words.
  [[nodiscard]] std::vector<std::string> wrongs() const;
  [[nodiscard]] std::size_t answered() const { return answered_; }

private:
  struct client;
  struct place {
    std::uint16_t port = 0;
    std::string token;
    std::uint64_t number = 0; ///< of the node, as they follow one another
  };
  void run(client& of);
  void act(client& of);
  void create(client& of, promised& what);
  void change(client& of, promised& what);
  void end(client& of, promised& what);
  void rest(client& of, promised& what);
  answer_seen ask(client& of, const std::string& method, const std::string& target, const std::string& body = {},
                  const std::string& more = {});
  void wrong(std::string what);

  crowd_order order_;
  mutable std::mutex mutex_;
  std::condition_variable bell_;
  place where_;                     // under `mutex_`
  std::vector<std::string> wrongs_; // under `mutex_`
  std::size_t resting_ = 0;         // under `mutex_`
  bool over_ = false;               // under `mutex_`
  std::atomic<bool> rests_ = false;
  std::atomic<std::size_t> answered_ = 0;
  std::vector<std::unique_ptr<client>> clients_;
};

} // namespace nestor::tests
