// A record's page: saves what was entered, and says beside each field what could not be.

const [, kind, record] = /^\/lightning\/r\/([^/]+)\/([^/]+)\/view$/.exec(location.pathname) ?? [];
const told = document.getElementById('told');
const SAVED = '#saved';

/** What a form says, by what it saves. */
function said(form) {
  const entered = Object.fromEntries([...new FormData(form)]);
  if (form.dataset.save === 'call') return {call: entered.call};
  if (form.dataset.save === 'done') return {done: true};
  return {fields: entered};
}

function mark(form, wrong) {
  for (const field of form.querySelectorAll('[name]')) {
    field.setAttribute('aria-invalid', String(field.name in wrong));
    document.getElementById(`trouble-${field.name}`).textContent = wrong[field.name] ?? '';
  }
  form.querySelector('[aria-invalid="true"]')?.focus();
}

function tell(words, bad = false) {
  told.classList.toggle('bad', bad);
  told.textContent = words;
}

async function save(form) {
  const button = form.querySelector('button');
  button.disabled = true;
  try {
    const answer = await fetch(`/sandbox/crm/${kind}/${record}`, {
      method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(said(form)),
    });
    const found = await answer.json();
    if (found.ok) {
      history.replaceState(null, '', SAVED);
      location.reload();
      return;
    }
    button.disabled = false;
    mark(form, found.fields ?? {});
    tell(found.fields ? 'Nothing was saved yet: look at the marked fields.' : `Not saved: ${found.detail}`, true);
  } catch {
    tell('The sandbox does not answer: it may have ended. Nothing was saved.', true);
  } finally {
    button.disabled = false;
  }
}

const theme = localStorage.getItem('theme') ?? 'auto';
if (theme !== 'auto') document.documentElement.dataset.theme = theme;
for (const form of document.querySelectorAll('form[data-save]')) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    save(form);
  });
}
if (location.hash === SAVED) {
  history.replaceState(null, '', location.pathname);
  tell('Saved. The app sees it when it next looks at the CRM, and before it sends anything about it.');
}
