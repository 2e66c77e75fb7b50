// Which CAF this is, 0.17.6 (Debian's package) or 1.x, is known here and in caf_scheduler.hpp, apart because it is
// heavy. Everything version-dependent of the actors is here, and the rest speaks the small vocabulary it defines.
//
// Rules that keep it small. Actors
//   * are plain structs ("states") run by `state_actor<State>` and spawned with `spawn<State>(host, home, args…)`;
//   * send only through `self->tell / ask` and the free `tell_from_outside`;
//   * supervise only through `self->on_down(handle, callback)`;
//   * use structs as messages, never atoms, groups, streams, behaviour stacks, CAF timers or CAF's own configuration.
//
// Two additions of our own:
//   * a `home`: the event loop that an actor lives on. An actor with a home is run by that loop's thread, so that a
//     message between two of its actors costs no thread switch and a socket's completion is already where it is needed.
//     Without a home (deterministic tests, embedders who prefer it) CAF's scheduler runs it.
//   * `promise`: answers its requester even when the actor that holds it dies (0.17 would leave the requester waiting).
#pragma once

#include <nestor/core/describe.hpp>

#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/init_global_meta_objects.hpp>
#include <caf/resumable.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

// CAF_VERSION is an octal literal in 1.1.0; the major number is right in both.
#if CAF_MAJOR_VERSION >= 1
#  define NESTOR_CAF_MODERN 1
#  include <caf/anon_mail.hpp>
#  include <caf/scheduler.hpp>
#else
#  define NESTOR_CAF_MODERN 0
#  include <caf/execution_unit.hpp>
#  include <caf/meta/type_name.hpp>
#  include <caf/scheduler/abstract_coordinator.hpp>
#  include <map>
#endif

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace nestor::actors {

// -- where an actor lives -------------------------------------------------------------------------

#if NESTOR_CAF_MODERN
using caf_execution_unit = caf::scheduler;
#else
using caf_execution_unit = caf::execution_unit;
#endif

/// An event loop that runs actors. One thread calls `run_ready`; any thread may schedule.
class home : public caf_execution_unit {
public:
#if NESTOR_CAF_MODERN
  explicit home(caf::actor_system&) {}
  void schedule(caf::resumable* job) final {
    enqueue(job);
  }
  void delay(caf::resumable* job) final {
    enqueue(job);
  }
  void start() final {}
  void stop() final {}
#else
  explicit home(caf::actor_system& system) : caf::execution_unit(&system) {}
  void exec_later(caf::resumable* job) final {
    enqueue(job);
  }
#endif

protected:
  /// Takes over one reference to `job`, which must later be passed to `run`. Thread safe.
  virtual void enqueue(caf::resumable* job) = 0;

  /// Runs `job` for at most `messages` messages and schedules it again when it has more to do.
  void run(caf::resumable* job, std::size_t messages) {
    switch (job->resume(this, messages)) {
      case caf::resumable::resume_later: enqueue(job); break;
      case caf::resumable::done:
      case caf::resumable::awaiting_message: release(job); break;
      case caf::resumable::shutdown_execution_unit: break;
    }
  }

  /// Gives up the reference to a job that will never run.
  static void release(caf::resumable* job) {
    intrusive_ptr_release(job);
  }
};

// -- messages -------------------------------------------------------------------------------------

template <class... In>
struct accepts {
#if NESTOR_CAF_MODERN
  template <class... Out>
  using replies = caf::result<Out...>(In...);
#else
  template <class... Out>
  using replies = typename caf::replies_to<In...>::template with<Out...>;
#endif
};

// -- actors ---------------------------------------------------------------------------------------

/// The messaging vocabulary that both generations of CAF share, on top of `Base`.
template <class Base>
class basic_actor : public Base {
public:
  using down_callback = std::function<void(const caf::error&)>;

  basic_actor(caf::actor_config& cfg, home* lives_at) : Base(cfg), home_(lives_at) {
#if !NESTOR_CAF_MODERN
    this->set_down_handler([this](caf::down_msg& msg) { fire_down(msg); });
#endif
  }

  [[nodiscard]] home* lives_at() const {
    return home_;
  }

#if NESTOR_CAF_MODERN
  bool enqueue(caf::mailbox_element_ptr what, caf::scheduler* sched) override {
    return Base::enqueue(std::move(what), home_ ? home_ : sched);
  }
  void launch(caf::scheduler* sched, bool lazy, bool hide) override {
    Base::launch(home_ ? home_ : sched, lazy, hide);
  }
#else
  using Base::enqueue;
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override {
    Base::enqueue(std::move(what), home_ ? home_ : unit);
  }
  void launch(caf::execution_unit* unit, bool lazy, bool hide) override {
    Base::launch(home_ ? home_ : unit, lazy, hide);
  }
#endif

  template <class Handle, class... Ts>
  void tell(const Handle& receiver, Ts&&... xs) {
#if NESTOR_CAF_MODERN
    this->mail(std::forward<Ts>(xs)...).send(receiver);
#else
    this->send(receiver, std::forward<Ts>(xs)...);
#endif
  }

  /// A message to itself after a while. Cannot be taken back: let it carry a number and ignore old ones.
  template <class Rep, class Period, class Handle, class... Ts>
  void tell_after(std::chrono::duration<Rep, Period> delay, const Handle& receiver, Ts&&... xs) {
#if NESTOR_CAF_MODERN
    this->mail(std::forward<Ts>(xs)...).delay(delay).send(receiver);
#else
    this->delayed_send(receiver, delay, std::forward<Ts>(xs)...);
#endif
  }

  /// A request with a deadline: `.then(on_value, on_error)`.
  template <class Rep, class Period, class Handle, class... Ts>
  [[nodiscard]] auto ask(const Handle& receiver, std::chrono::duration<Rep, Period> timeout, Ts&&... xs) {
#if NESTOR_CAF_MODERN
    return this->mail(std::forward<Ts>(xs)...).request(receiver, timeout);
#else
    return this->request(receiver, timeout, std::forward<Ts>(xs)...);
#endif
  }

  /// A request without a timer, to an actor of this process that answers or dies. A timer per request would stay, with
  /// both actors, until its deadline (0.17), or cost more the more there are (1.1).
  template <class Handle, class... Ts>
  [[nodiscard]] auto ask_untimed(const Handle& receiver, Ts&&... xs) {
#if NESTOR_CAF_MODERN
    return this->mail(std::forward<Ts>(xs)...).request(receiver, caf::infinite);
#else
    return this->request(receiver, caf::infinite, std::forward<Ts>(xs)...);
#endif
  }

  /// Lets `receiver` answer the request at hand in this actor's place, with a `Response`.
  template <class Response, class Handle, class Message>
  caf::result<Response> pass_on(const Handle& receiver, Message&& message) {
#if NESTOR_CAF_MODERN
    (void)this->mail(std::forward<Message>(message)).delegate(receiver);
#else
    (void)this->delegate(receiver, std::forward<Message>(message));
#endif
    return caf::delegated<Response>{};
  }

  /// Runs `callback` in this actor when `subject` ends, for whatever reason. For parents watching children only: a
  /// watcher of a long-lived actor leaks.
  template <class Handle>
  void on_down(const Handle& subject, down_callback callback) {
#if NESTOR_CAF_MODERN
    this->monitor(subject, std::move(callback));
#else
    down_callbacks_.emplace(subject.address().id(), std::move(callback));
    this->monitor(subject);
#endif
  }

protected:
  void drop_callbacks() noexcept {
#if !NESTOR_CAF_MODERN
    down_callbacks_.clear();
#endif
  }

private:
#if !NESTOR_CAF_MODERN
  void fire_down(const caf::down_msg& msg) {
    if (auto found = down_callbacks_.extract(msg.source.id()); !found.empty())
      found.mapped()(msg.reason);
  }
  std::map<caf::actor_id, down_callback> down_callbacks_; // one for each child: a registry has a hundred thousand
#endif
  home* home_;
};

/// A response that comes later. If its last copy goes unanswered, the requester gets an error instead of silence.
template <class T>
class promise {
public:
  template <class Base>
  explicit promise(basic_actor<Base>* self) : box_(std::make_shared<box>(self->template make_response_promise<T>())) {}

  template <class Value>
  void deliver(Value&& value) {
    if (!std::exchange(box_->answered, true))
      box_->inner.deliver(std::forward<Value>(value));
  }
  [[nodiscard]] caf::result<T> result() const { return box_->inner; }

private:
  struct box {
    explicit box(caf::typed_response_promise<T> p) : inner(std::move(p)) {}
    ~box() {
      if (!answered)
        inner.deliver(caf::make_error(caf::sec::request_receiver_down));
    }
    caf::typed_response_promise<T> inner;
    bool answered = false;
  };
  std::shared_ptr<box> box_;
};

namespace detail {
template <class Handle>
struct base_of {
  using type = typename Handle::base;
};
template <>
struct base_of<caf::actor> {
  using type = caf::event_based_actor;
};

template <class State>
concept handles_exit = requires(State& state, const caf::exit_msg& msg) {
  state.handle_exit(msg);
};
} // namespace detail

/// What the state of an actor with handle type `Handle` knows as `self`.
template <class Handle = caf::actor>
using self_ptr = basic_actor<typename detail::base_of<Handle>::type>*;
template <class Handle = caf::actor>
using behavior_of = typename detail::base_of<Handle>::type::behavior_type;

/// Runs a `State`:
///   struct my_state {
///     using handle_type = caf::actor;                     // or a typed handle
///     static constexpr const char* name = "my-actor";
///     my_state(self_ptr<handle_type> self, args…);        // must not throw
///     behavior_of<handle_type> make_behavior();
///     void handle_exit(const caf::exit_msg&);             // optional; without it an exit message ends the actor
///   };
/// Stray error messages are ignored: 1.x sends one for every message whose handler throws, and a crashing child must
/// not take its supervisor along.
template <class State>
class state_actor final : public basic_actor<typename detail::base_of<typename State::handle_type>::type> {
public:
  using super = basic_actor<typename detail::base_of<typename State::handle_type>::type>;
  using behavior_type = typename super::behavior_type;

  template <class... Ts>
  state_actor(caf::actor_config& cfg, home* lives_at, Ts&&... xs) : super(cfg, lives_at) {
    // CAF's own handler prints what the exception says; we print nothing, and it might quote a secret.
    this->set_exception_handler(
      [](caf::scheduled_actor*, std::exception_ptr&) { return caf::make_error(caf::sec::runtime_error); });
    state_.emplace(this, std::forward<Ts>(xs)...);
#if !NESTOR_CAF_MODERN
    if constexpr (detail::handles_exit<State>)
      this->set_exit_handler([this](caf::exit_msg& msg) { on_exit_message(msg); });
    this->set_error_handler([](caf::error&){});
#endif
  }

  const char* name() const override {
    return State::name;
  }

  void on_exit() override {
    state_.reset();
    this->drop_callbacks();
  }

protected:
  behavior_type make_behavior() override {
#if NESTOR_CAF_MODERN
    caf::message_handler system_messages{[](const caf::error&) {}};
    if constexpr (detail::handles_exit<State>)
      system_messages = system_messages.or_else([this](const caf::exit_msg& msg) { on_exit_message(msg); });
    if constexpr (std::is_same_v<behavior_type, caf::behavior>)
      return system_messages.or_else(state_->make_behavior());
    else
      return behavior_type{caf::unsafe_behavior_init, system_messages.or_else(state_->make_behavior().unbox())};
#else
    return state_->make_behavior();
#endif
  }

private:
  void on_exit_message(const caf::exit_msg& msg) {
    if constexpr (detail::handles_exit<State>)
      state_->handle_exit(msg);
  }

  std::optional<State> state_;
};

/// Spawns from an actor system …
template <class State, class... Ts>
auto spawn(caf::actor_system& system, home* lives_at, Ts&&... xs) {
  return system.spawn<state_actor<State>>(lives_at, std::forward<Ts>(xs)...);
}

/// … or from within an actor; the child lives where its parent does.
template <class State, class Base, class... Ts>
auto spawn(basic_actor<Base>* parent, Ts&&... xs) {
  return parent->template spawn<state_actor<State>>(parent->lives_at(), std::forward<Ts>(xs)...);
}

/// Thread safe: how anything that is no actor tells an actor something.
template <class Handle, class... Ts>
void tell_from_outside(const Handle& receiver, Ts&&... xs) {
#if NESTOR_CAF_MODERN
  caf::anon_mail(std::forward<Ts>(xs)...).send(receiver);
#else
  caf::anon_send(receiver, std::forward<Ts>(xs)...);
#endif
}

/// A blocking request from outside of actors: `.receive(on_value, on_error)`.
template <class Rep, class Period, class Handle, class... Ts>
[[nodiscard]] auto ask(caf::scoped_actor& self, const Handle& receiver, std::chrono::duration<Rep, Period> timeout,
                       Ts&&... xs) {
#if NESTOR_CAF_MODERN
  return self->mail(std::forward<Ts>(xs)...).request(receiver, timeout);
#else
  return self->request(receiver, timeout, std::forward<Ts>(xs)...);
#endif
}

// -- configuration --------------------------------------------------------------------------------

/// Makes the message types of `IdBlocks` known. 1.x wants that before the first actor_system_config; call it first.
template <class... IdBlocks>
void register_types() {
#if NESTOR_CAF_MODERN
  caf::init_global_meta_objects<IdBlocks...>();
  caf::core::init_global_meta_objects();
#endif
}

template <class... IdBlocks>
void load_types([[maybe_unused]] caf::actor_system_config& cfg) {
#if !NESTOR_CAF_MODERN
  (cfg.add_message_types<IdBlocks>(), ...);
#endif
}

/// `key` as 0.17 spells it ("scheduler.max-threads"); 1.x adds "caf.".
template <class T>
void set_option(caf::actor_system_config& cfg, const std::string& key, T&& value) {
#if NESTOR_CAF_MODERN
  cfg.set("caf." + key, std::forward<T>(value));
#else
  cfg.set(key, std::forward<T>(value));
#endif
}

} // namespace nestor::actors

// -- inspection of described types: their fields, listed once -------------------------------------
namespace nestor {
template <class Inspector, described T>
auto inspect(Inspector& f, T& x) {
  return std::apply(
    [&](auto... fields) {
#if NESTOR_CAF_MODERN
      return f.object(x).pretty_name(T::type_name).fields(f.field(fields.name, x.*(fields.pointer))...);
#else
      return f(caf::meta::type_name(T::type_name.data()), (x.*(fields.pointer))...);
#endif
    },
    T::describe());
}
} // namespace nestor
