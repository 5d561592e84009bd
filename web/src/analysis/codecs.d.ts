declare module "@cornerstonejs/codec-charls/wasmjs" {
  const create: (options: object) => Promise<unknown>;
  export default create;
}

declare module "@cornerstonejs/codec-openjpeg/decodewasmjs" {
  const create: (options: object) => Promise<unknown>;
  export default create;
}

declare module "@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs" {
  const create: (options: object) => Promise<unknown>;
  export default create;
}

declare module "jpeg-lossless-decoder-js" {
  const Decoder: new () => unknown;
}
