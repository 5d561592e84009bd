/// <reference types="vite/client" />

declare module "@cornerstonejs/codec-openjph" {
  const create: (options?: object) => Promise<unknown>;
  export default create;
}
