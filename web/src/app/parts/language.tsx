import { LANGUAGES } from "../messages/text";
import { useFrame } from "./app_context";

/** The languages by their own names, each in its language. */
export function LanguageChoice() {
  const { words, setLanguage } = useFrame();
  return (
    <fieldset className="languages" aria-label={words.say("app.language")}>
      {LANGUAGES.map(([code, name]) => (
        <button
          key={code}
          type="button"
          className="quiet"
          lang={code}
          aria-pressed={words.language === code}
          onClick={() => setLanguage(code)}
        >
          {name}
        </button>
      ))}
    </fieldset>
  );
}
