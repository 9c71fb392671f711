// Slack's mrkdwn, drawn as DOM nodes. Nothing here parses HTML.
export function drawText(text) {
  const line = document.createElement('span');
  line.textContent = String(text ?? '');
  return line;
}
