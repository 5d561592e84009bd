/** The name of the program with its sign: two half circles, back to back as the breasts hang. */
export function Brand() {
  return (
    <span className="brand">
      <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <path d="M11 3a9 9 0 0 0 0 18Z" className="brand-right" />
        <path d="M13 3a9 9 0 0 1 0 18Z" className="brand-left" />
      </svg>
      <span>mammolens</span>
    </span>
  );
}
