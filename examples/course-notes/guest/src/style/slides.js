(() => {
  const slides = [...document.querySelectorAll('.slide')];
  const place = document.querySelector('nav output');
  const smallest = 0.5;

  // What is too much for the window is made smaller; what is far too much can be scrolled.
  const fit = slide => {
    let size = 1;
    slide.style.fontSize = '';
    while (slide.scrollHeight > slide.clientHeight && size > smallest) {
      size -= 0.05;
      slide.style.fontSize = `${size}em`;
    }
  };
  let now = 0;
  const go = number => {
    now = Math.min(Math.max(number, 0), slides.length - 1);
    slides.forEach((slide, at) => slide.classList.toggle('now', at === now));
    place.textContent = `${now + 1} / ${slides.length}`;
    fit(slides[now]);
    history.replaceState(null, '', `#${now + 1}`);
  };
  const fromAddress = () => go((parseInt(location.hash.slice(1), 10) || 1) - 1);

  const steps = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, ' ': 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
  addEventListener('keydown', event => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const to = { Home: 0, End: slides.length - 1 }[event.key] ?? now + (steps[event.key] ?? NaN);
    if (Number.isNaN(to)) return;
    event.preventDefault();
    go(to);
  });
  for (const button of document.querySelectorAll('nav button')) {
    button.addEventListener('click', () => {
      go(now + Number(button.dataset.go));
      button.blur();
    });
  }
  let touched = 0;
  addEventListener('touchstart', event => { touched = event.changedTouches[0].clientX; }, { passive: true });
  addEventListener('touchend', event => {
    const moved = event.changedTouches[0].clientX - touched;
    if (Math.abs(moved) > 60) go(now - Math.sign(moved));
  }, { passive: true });
  addEventListener('resize', () => fit(slides[now]));
  addEventListener('hashchange', fromAddress);
  document.documentElement.classList.add('shown');
  fromAddress();
})();
