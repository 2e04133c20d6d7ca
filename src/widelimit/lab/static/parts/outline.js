// Marks the entry of the section that is being read.

export function attach(element) {
  const links = [...element.querySelectorAll("ol a")];
  const sections = links.map((link) => document.getElementById(link.hash.slice(1)));
  const visible = new Set();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) visible[entry.isIntersecting ? "add" : "delete"](entry.target);
      const current = sections.findIndex((section) => visible.has(section));
      links.forEach((link, i) => (i === current ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
    },
    { rootMargin: "-30% 0px -60% 0px" },
  );
  sections.forEach((section) => section && observer.observe(section));
}
