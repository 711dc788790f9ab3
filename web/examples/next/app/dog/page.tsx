import Link from 'next/link';
import { Picture } from '../picture';

export default function Page() {
  return <main><h1>A dog</h1><Picture label="dog" /><Link href="/">A cat</Link></main>;
}
