// Kernels of our own on tfjs's wasm backend, in the same memory, for what a decoding step is made of. tfjs's product
// multiplies a lone row at half the speed of the memory, and two or four hardly faster than one by one; and each of its
// operations costs more to start than a norm or a head's attention takes. None has a gradient; all answer undefined where
// they are not for the case. scripts/wasm/kernels.ts has their source.
export * from './attention.js'
export * from './choice.js'
export * from './product.js'
