// Everything here is an extra: each page does its work without it.

function swapTexts(button) {
  const { otherText, otherLabel } = button.dataset;
  button.dataset.otherText = button.textContent;
  button.textContent = otherText;
  if (otherLabel === undefined) return;
  button.dataset.otherLabel = button.getAttribute('aria-label');
  button.setAttribute('aria-label', otherLabel);
}

function offerToReveal(button) {
  const input = document.getElementById(button.dataset.reveal);
  const toggle = () => {
    input.type = input.type === 'password' ? 'text' : 'password';
    swapTexts(button);
  };
  button.addEventListener('click', toggle);
  // Sent as text, a password would be remembered among the form's ordinary entries.
  input.form.addEventListener('submit', () => {
    if (input.type === 'text') toggle();
  });
  button.hidden = false;
}

function offerToCopy(button) {
  if (navigator.clipboard === undefined) return;
  const source = document.getElementById(button.dataset.copy);
  button.addEventListener(
    'click',
    async () => {
      await navigator.clipboard.writeText(source.textContent);
      swapTexts(button);
    },
    { once: true },
  );
  button.hidden = false;
}

function sendOnce(form) {
  let isSent = false;
  form.addEventListener('submit', (event) => {
    if (isSent) event.preventDefault();
    isSent = true;
  });
  // Coming back by the browser's button shows the page as it was left.
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) isSent = false;
  });
}

document.querySelectorAll('[data-reveal]').forEach(offerToReveal);
document.querySelectorAll('[data-copy]').forEach(offerToCopy);
document.querySelectorAll('form').forEach(sendOnce);
document.querySelectorAll('form[data-automatic]').forEach((form) => {
  form.requestSubmit();
});
