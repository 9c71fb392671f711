// Modals (docs.slack.dev/surfaces/modals): a stack of up to three, each a dialog of its own; the one on top is seen.
//
//   syncModals(views, handlersOf)   make what is open be these views, from the bottom up, as GET /sandbox/page/views tells
//   openModal(view, handlers)       open one: on top of its previous_view_id, else instead of what is open
//                                   -> {update(view), close()}
//   closeModals()                   close all of them without telling anybody
//   handlers = {
//     context,                           as blocks.js takes it; surface is set here
//     submit(values, view) -> Promise<answer>,   `values` as POST /sandbox/submit takes them (`inputs`)
//     close(cleared, view) -> Promise,   the person closed the view; `cleared`: the whole stack went with it
//     action(action, view) -> Promise,   something in the view was pressed or chosen
//   }
// An answer is what POST /sandbox/submit gives, {ok, acked, reason, body} with the bot's own in `body`; or the bot's own,
// {response_action, errors}; or {ok: false, trouble}: words for the person.

import {checkValues, drawBlocks, keepValues, readValues, restoreValues, showErrors} from './blocks.js';
import {drawPlain, make} from './mrkdwn.js';

export const MOST_VIEWS = 3;
const FOCUSABLE = 'a[href],button:not([disabled]),input:not([disabled]),select:not([disabled]),textarea:not([disabled]),summary,[tabindex]:not([tabindex="-1"])';

let stack = [];
let numbers = 0;
/** Where the focus was before the first modal came. */
let origin = null;

function whereFocusIs() {
  const node = document.activeElement;
  const control = node?.closest?.('[data-control]');
  return {node, block: control?.dataset.block, action: control?.dataset.action};
}

/** Back to where the focus was; a message that was drawn anew meanwhile has the same button in another node. */
function focusAgain(where, root = document) {
  if (!where) return false;
  if (where.node?.isConnected && where.node !== document.body && root.contains(where.node)) {
    where.node.focus();
    return true;
  }
  if (where.action === undefined) return false;
  const twin = [...root.querySelectorAll('[data-control]')].find((node) => node.dataset.block === where.block && node.dataset.action === where.action);
  const field = twin?.matches(FOCUSABLE) ? twin : twin?.querySelector(FOCUSABLE);
  field?.focus();
  return Boolean(field);
}

function visible(nodes) {
  return [...nodes].filter((node) => node.getClientRects().length > 0);
}

class Modal {
  constructor(view, handlers) {
    numbers += 1;
    this.view = view;
    this.handlers = handlers;
    this.busy = false;
    this.gone = false;
    this.below = null;
    this.title = make('h2', 'modal-title');
    this.title.id = `modal-title-${numbers}`;
    this.title.tabIndex = -1;
    this.dismiss = make('button', 'modal-dismiss', '×');
    this.dismiss.type = 'button';
    this.dismiss.setAttribute('aria-label', 'Close this window');
    this.note = make('div', 'modal-note');
    this.note.setAttribute('role', 'alert');
    this.body = make('div', 'modal-body');
    this.closeButton = make('button', 'button');
    this.closeButton.type = 'button';
    this.submitButton = make('button', 'button primary');
    this.submitButton.type = 'submit';
    this.form = make('form', 'modal-form', make('div', 'modal-head', this.title, this.dismiss), this.note, this.body, make('div', 'modal-foot', this.closeButton, this.submitButton));
    this.form.noValidate = true;
    this.dialog = make('dialog', 'modal', this.form);
    this.dialog.setAttribute('aria-labelledby', this.title.id);
    this.dismiss.addEventListener('click', () => this.closedByPerson());
    this.closeButton.addEventListener('click', () => this.closedByPerson());
    this.dialog.addEventListener('cancel', (event) => {
      // Esc. A list that is open inside takes it first.
      event.preventDefault();
      if (event.target === this.dialog) this.closedByPerson();
    });
    this.dialog.addEventListener('keydown', (event) => this.keepFocus(event));
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
    this.draw();
  }

  draw() {
    const {view} = this;
    const place = view.previous_view_id && stack.length > 1;
    this.title.replaceChildren(drawPlain(view.title?.text ?? ''));
    this.closeButton.replaceChildren(drawPlain(view.close?.text ?? (view.submit ? 'Cancel' : place ? 'Back' : 'Close')));
    this.submitButton.hidden = !view.submit;
    this.submitButton.replaceChildren(drawPlain(view.submit?.text ?? ''));
    this.submitButton.disabled = view.submit_disabled === true;
    this.body.replaceChildren(drawBlocks(view.blocks, {
      ...this.handlers.context,
      surface: 'modal',
      onAction: (action) => this.handlers.action?.(action, this.view),
    }));
    this.dialog.dataset.viewId = view.id ?? '';
  }

  show() {
    this.below = whereFocusIs();
    document.body.append(this.dialog);
    this.dialog.showModal();
    const wanted = this.body.querySelector('[data-focus-on-load]') ?? visible(this.body.querySelectorAll('input,select,textarea'))[0];
    (wanted ?? this.title).focus();
  }

  /** New content in the same place: what was typed stays where the block is the same, and so does the focus. */
  update(view) {
    const kept = keepValues(this.body);
    const where = this.dialog.contains(document.activeElement) ? whereFocusIs() : null;
    this.view = view;
    this.note.textContent = '';
    this.draw();
    restoreValues(this.body, kept);
    if (where && !focusAgain(where, this.dialog) && this === stack.at(-1)) (visible(this.body.querySelectorAll('input,select,textarea'))[0] ?? this.title).focus();
  }

  remove() {
    if (this.gone) return;
    this.gone = true;
    this.dialog.close();
    this.dialog.remove();
  }

  setBusy(busy) {
    this.busy = busy;
    this.form.setAttribute('aria-busy', String(busy));
    this.submitButton.setAttribute('aria-busy', String(busy));
  }

  say(words) {
    this.note.textContent = '';
    // Emptied first, or the same words said twice are not read out twice.
    requestAnimationFrame(() => {
      this.note.textContent = words;
      this.note.scrollIntoView({block: 'nearest'});
    });
  }

  refuse(errors) {
    const fields = showErrors(this.body, errors);
    const known = new Set([...this.body.querySelectorAll('[data-input-block]')].map((block) => block.dataset.inputBlock));
    const others = Object.entries(errors).filter(([block]) => !known.has(block)).map(([, message]) => String(message));
    this.note.textContent = '';
    if (others.length) this.say(others.join(' '));
    const first = fields[0];
    (first?.matches(FOCUSABLE) ? first : first?.querySelector(FOCUSABLE))?.focus();
  }

  async submit() {
    if (this.busy || this.submitButton.hidden || this.submitButton.disabled) return;
    const amiss = checkValues(this.body);
    this.refuse(amiss);
    if (Object.keys(amiss).length) return;
    this.setBusy(true);
    let answer = null;
    try {
      answer = await this.handlers.submit?.(readValues(this.body), this.view);
    } catch (error) {
      answer = {ok: false, detail: error instanceof Error ? error.message : ''};
    }
    this.setBusy(false);
    if (!this.gone) this.answered(answer ?? {});
  }

  answered(answer) {
    if (answer.ok === false) {
      const why = answer.trouble ?? (answer.detail ? `This could not be sent: ${answer.detail}` : '');
      this.say(why || 'This could not be sent. Try again.');
      return;
    }
    const said = response(answer);
    if (answer.acked === false) this.say('The app did not answer in time. What you wrote is still here: try again.');
    else if (said.response_action === 'errors') this.refuse(said.errors ?? {});
    else if (said.response_action === 'clear') closeModals();
    // What takes the place of this view, or stands on top of it, comes with the next syncModals.
    else if (said.response_action !== 'update' && said.response_action !== 'push') drop([this]);
  }

  closedByPerson() {
    if (this.busy) return;
    const cleared = this.view.clear_on_close === true;
    drop(cleared ? [...stack] : [this]);
    this.handlers.close?.(cleared, this.view);
  }

  keepFocus(event) {
    if (event.key !== 'Tab' || event.target.closest('dialog') !== this.dialog) return;
    const all = visible(this.dialog.querySelectorAll(FOCUSABLE));
    const [first, last] = [all[0], all.at(-1)];
    const leaves = event.shiftKey ? document.activeElement === first || document.activeElement === this.title : document.activeElement === last;
    if (!leaves) return;
    event.preventDefault();
    (event.shiftKey ? last : first)?.focus();
  }
}

/** The bot's words in an answer: an object, `{}` where it said nothing. */
function response(answer) {
  if (answer.response_action) return answer;
  if (typeof answer.body !== 'string' || !answer.body.trim()) return answer.body && typeof answer.body === 'object' ? answer.body : {};
  try {
    const found = JSON.parse(answer.body);
    return found && typeof found === 'object' ? found : {};
  } catch {
    return {};
  }
}

/** Take modals away, and put the focus where it was before the lowest of them came. */
function drop(modals) {
  const lowest = stack.find((modal) => modals.includes(modal));
  if (!lowest) return;
  const had = modals.some((modal) => modal.dialog.contains(document.activeElement));
  stack = stack.filter((modal) => !modals.includes(modal));
  for (const modal of [...modals].reverse()) modal.remove();
  showTop();
  if (!had && document.activeElement !== document.body) return;
  const top = stack.at(-1);
  if (top) {
    if (!focusAgain(lowest.below, top.dialog)) top.title.focus();
  } else {
    focusAgain(origin ?? lowest.below);
    origin = null;
  }
}

function showTop() {
  stack.forEach((modal, at) => modal.dialog.classList.toggle('bk-is-below', at < stack.length - 1));
}

function put(view, handlers) {
  if (!stack.length) origin = whereFocusIs();
  const modal = new Modal(view, handlers);
  stack.push(modal);
  modal.show();
  showTop();
  return modal;
}

/** Open a view. More than three, or one that does not stand on what is open, takes the place of the stack. */
export function openModal(view, handlers) {
  const pushed = view.previous_view_id && stack.some((modal) => modal.view.id === view.previous_view_id);
  if (!pushed || stack.length >= MOST_VIEWS) drop([...stack]);
  const modal = put(view, handlers);
  return {
    update: (next) => modal.update(next),
    close: () => drop([modal]),
  };
}

/** Close every modal without telling anybody. */
export function closeModals() {
  drop([...stack]);
}

/**
 * Make what is open be `views`, from the bottom up: closes, updates and opens what it takes. A view that has not changed
 * (same id, same hash) is left alone, with what was typed into it. `handlersOf(view)` gives the handlers of a new one.
 */
export function syncModals(views, handlersOf) {
  const wanted = (views ?? []).slice(0, MOST_VIEWS);
  const ids = new Set(wanted.map((view) => view.id));
  const stale = stack.filter((modal) => !ids.has(modal.view.id));
  if (stale.length) drop(stale);
  for (const view of wanted) {
    const open = stack.find((modal) => modal.view.id === view.id);
    if (!open) put(view, handlersOf(view));
    else if (open.view.hash !== view.hash) open.update(view);
  }
}
